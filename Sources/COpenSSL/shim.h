// The parts of OpenSSL that a server needs and that Swift cannot call directly: macros, callbacks, and a socket BIO.
//
// Swift code calls OpenSSL's other functions itself. The functions in this file have the prefix tributary_.

#ifndef TRIBUTARY_COPENSSL_SHIM_H
#define TRIBUTARY_COPENSSL_SHIM_H

// OpenSSL deprecates SHA-256 over a struct of fixed size in favour of an interface that allocates and can fail. A digest needs neither.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

// MARK: Sockets

// OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE when the peer has reset the connection. This one is
// the same except for MSG_NOSIGNAL. The descriptor is the BIO's data; the BIO does not own it.

static inline int tributary_bio_read(BIO *bio, char *bytes, int length) {
    BIO_clear_retry_flags(bio);
    ssize_t count;
    do {
        count = recv((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)length, 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)count;
}

static inline int tributary_bio_write(BIO *bio, const char *bytes, int length) {
    BIO_clear_retry_flags(bio);
    ssize_t count;
    do {
        count = send((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)length, MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
    return (int)count;
}

static inline long tributary_bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    // Lets OpenSSL distinguish the end of the peer's stream from a failed read (BIO_eof).
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default: return 0;
    }
}

/// The method of BIOs that read and write a non-blocking socket. NULL if memory runs out. It must be freed with BIO_meth_free
/// after all its BIOs.
static inline BIO_METHOD *tributary_socket_bio_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tributary socket");
    if (method == NULL) return NULL;
    BIO_meth_set_read(method, tributary_bio_read);
    BIO_meth_set_write(method, tributary_bio_write);
    BIO_meth_set_ctrl(method, tributary_bio_control);
    return method;
}

/// Makes a connection read and write a socket. Returns 0 if memory runs out.
static inline int tributary_ssl_use_socket(SSL *ssl, const BIO_METHOD *method, int descriptor) {
    BIO *bio = BIO_new(method);
    if (bio == NULL) return 0;
    BIO_set_data(bio, (void *)(intptr_t)descriptor);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return 1;
}

// MARK: Contexts

/// Chooses http/1.1 among the protocols that a client offers (RFC 7301). If it is not among them, the handshake ends.
static inline int tributary_select_http11(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                                          const unsigned char *offered, unsigned int offered_length, void *argument) {
    (void)ssl;
    (void)argument;
    static const char http11[] = "http/1.1";
    for (unsigned int index = 0; index < offered_length; index += 1u + offered[index]) {
        unsigned int length = offered[index];
        if (length > offered_length - index - 1) break;
        if (length == sizeof http11 - 1 && memcmp(offered + index + 1, http11, length) == 0) {
            *chosen = offered + index + 1;
            *chosen_length = (unsigned char)length;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// Sets the minimum version and all settings that do not depend on the configuration. Returns 0 if OpenSSL refuses any of them.
static inline int tributary_ctx_prepare(SSL_CTX *context, int minimum_version) {
    static const unsigned char session_context[] = "tributary";
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    // A record can be written in parts, from a buffer that has moved in between. Idle connections release their buffers.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    // Sessions are resumed by tickets, which cost the server no memory.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, 2 * 60 * 60);
    SSL_CTX_set_alpn_select_cb(context, tributary_select_http11, NULL);
    return SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1) == 1 &&
           SSL_CTX_set_min_proto_version(context, minimum_version) == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static inline int tributary_ctx_add_chain(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate) == 1;
}

// MARK: Keys

static inline int tributary_note_password(char *buffer, int size, int writing, void *asked) {
    (void)buffer;
    (void)size;
    (void)writing;
    *(int *)asked = 1;
    return -1;
}

/// The private key in a PEM text; NULL if no key can be read. Sets *encrypted to 1 if the key needs a password.
static inline EVP_PKEY *tributary_read_key(BIO *pem, int *encrypted) {
    *encrypted = 0;
    return PEM_read_bio_PrivateKey(pem, NULL, tributary_note_password, encrypted);
}

/// The next certificate in a PEM text; NULL at its end, and if a certificate cannot be read.
static inline X509 *tributary_read_certificate(BIO *pem) {
    return PEM_read_bio_X509(pem, NULL, NULL, NULL);
}

/// Whether an error only means that a PEM text has ended.
static inline int tributary_is_end_of_pem(unsigned long error) {
    return error == 0 || (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
}

#endif
