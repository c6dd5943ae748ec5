// Functions of Linux and glibc that Swift's Glibc module does not export, or that take untyped memory: epoll, accept4, eventfd,
// Unix sockets, renameat2, malloc_trim, mallopt.
//
// Each function is the system call of the same name with the arguments that this project uses. It returns -1 and sets errno as
// the call does. Descriptors are non-blocking and closed on exec.

#ifndef TRIBUTARY_CLINUX_H
#define TRIBUTARY_CLINUX_H

#include <stdint.h>
#include <sys/socket.h>

// Readiness, with the values of EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP and EPOLLRDHUP.
extern const uint32_t tributary_epoll_readable;
extern const uint32_t tributary_epoll_writable;
extern const uint32_t tributary_epoll_error;
extern const uint32_t tributary_epoll_hang_up;
extern const uint32_t tributary_epoll_peer_finished;

/// struct epoll_event without its packed union, which Swift cannot lay out.
typedef struct tributary_epoll_event {
    uint64_t token;
    uint32_t readiness;
} tributary_epoll_event;

int tributary_epoll_create(void);
int tributary_epoll_add(int epoll, int descriptor, uint32_t interest, uint64_t token);
int tributary_epoll_modify(int epoll, int descriptor, uint32_t interest, uint64_t token);
int tributary_epoll_remove(int epoll, int descriptor);
/// Fills at most min(capacity, 256) events. A timeout of -1 milliseconds waits indefinitely.
int tributary_epoll_wait(int epoll, tributary_epoll_event *events, int capacity, int timeout_milliseconds);

int tributary_accept(int listener, struct sockaddr_storage *address, socklen_t *length);
int tributary_eventfd(void);

/// Sends a datagram to the Unix socket at a path or, if the path begins with @, to that name in the abstract namespace.
int tributary_send_to_unix_socket(const char *path, const char *message);

/// Exchanges the files or folders at two paths in one step: renameat2(2) with RENAME_EXCHANGE. EINVAL and ENOSYS mean that the
/// file system does not support it.
int tributary_exchange(const char *path, const char *other);

/// Makes the allocator keep at most 4 MiB at the end of each arena, and give blocks of 1 MiB or more back at once (mallopt(3)). By
/// default glibc raises both limits as such blocks are freed, and malloc_trim(3) trims the end of the first arena only.
void tributary_keep_little_freed_memory(void);

/// Gives freed memory of all arenas back to the system: malloc_trim(3).
void tributary_return_freed_memory(void);

#endif
