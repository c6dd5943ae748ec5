// A library to preload into a program (ld.so(8), LD_PRELOAD). It counts the calls that change files under a folder, and kills the
// program with SIGKILL at one of them.
//
//   CRASH_FOLDER  the folder, as realpath(3) returns it
//   CRASH_AT      the number of the call, from 1, before which the program is killed; 0 for none
//   CRASH_HALF    1: if the call is a write, its first half is still written
//   CRASH_LOG     a file outside the folder that gets a line per call: its name and its paths, separated by tabs
//
// The library sees only calls through libc, not what a program writes through a mapping.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;
static long crash_at;
static int is_half;
static int log_descriptor = -1;
static atomic_long calls;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("CRASH_FOLDER");
    if (!name) return;
    snprintf(folder, sizeof folder, "%s", name);
    folder_length = strlen(folder);
    if (getenv("CRASH_AT")) crash_at = atol(getenv("CRASH_AT"));
    if (getenv("CRASH_HALF")) is_half = atoi(getenv("CRASH_HALF"));
    if (getenv("CRASH_LOG"))
        log_descriptor = (int)syscall(SYS_openat, AT_FDCWD, getenv("CRASH_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static int is_inside(const char *path) {
    return folder_length && strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || !path[folder_length]);
}

static void path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
}

/// A path as it is under the folder: relative ones are taken from a descriptor or the current folder.
static void absolute(int base, const char *name, char *path) {
    char start[PATH_MAX] = "";
    if (name[0] != '/') {
        if (base == AT_FDCWD) {
            if (!getcwd(start, sizeof start)) start[0] = 0;
        } else {
            path_of(base, start);
        }
    }
    snprintf(path, PATH_MAX, "%s%s%s", start, name[0] == '/' ? "" : "/", name);
}

/// Counts a call that is about to be made.
///
/// Returns 1 if the program is to end within it, and ends the program here where it cannot.
static int count(const char *call, const char *path, const char *other, int can_be_half) {
    if (!is_inside(path) && !(other && is_inside(other))) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (log_descriptor >= 0) {
        char line[2 * PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", call, path, other ? other : "");
        if (length > 0) syscall(SYS_write, log_descriptor, line, (size_t)length);
    }
    if (number != crash_at) return 0;
    if (!can_be_half || !is_half) kill(getpid(), SIGKILL);
    return 1;
}

static int count_descriptor(const char *call, int descriptor, int can_be_half) {
    char path[PATH_MAX];
    path_of(descriptor, path);
    return count(call, path, NULL, can_be_half);
}

#define REAL(result, name, ...) static result (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

static void count_opening(int base, const char *name, int flags) {
    char path[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC))) return;
    absolute(base, name, path);
    struct stat status;
    int is_there = stat(path, &status) == 0;
    if (!is_there && (flags & O_CREAT)) count("create", path, NULL, 0);
    else if (is_there && (flags & O_TRUNC)) count("truncate", path, NULL, 0);
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *name, int flags, ...) {
    MODE REAL(int, open, const char *, int, ...);
    count_opening(AT_FDCWD, name, flags);
    return real(name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE REAL(int, open64, const char *, int, ...);
    count_opening(AT_FDCWD, name, flags);
    return real(name, flags, mode);
}

int openat(int base, const char *name, int flags, ...) {
    MODE REAL(int, openat, int, const char *, int, ...);
    count_opening(base, name, flags);
    return real(base, name, flags, mode);
}

int openat64(int base, const char *name, int flags, ...) {
    MODE REAL(int, openat64, int, const char *, int, ...);
    count_opening(base, name, flags);
    return real(base, name, flags, mode);
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (count_descriptor("write", descriptor, 1)) {
        real(descriptor, bytes, length / 2);
        kill(getpid(), SIGKILL);
    }
    return real(descriptor, bytes, length);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    if (count_descriptor("write", descriptor, 1)) {
        real(descriptor, bytes, length / 2, offset);
        kill(getpid(), SIGKILL);
    }
    return real(descriptor, bytes, length, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) { return pwrite(descriptor, bytes, length, offset); }

ssize_t writev(int descriptor, const struct iovec *parts, int number) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    if (count_descriptor("write", descriptor, 1)) {
        real(descriptor, parts, number / 2);
        kill(getpid(), SIGKILL);
    }
    return real(descriptor, parts, number);
}

#define ONE_DESCRIPTOR(name) int name(int descriptor) { REAL(int, name, int); count_descriptor("sync", descriptor, 0); return real(descriptor); }
ONE_DESCRIPTOR(fsync)
ONE_DESCRIPTOR(fdatasync)

int ftruncate(int descriptor, off_t length) {
    REAL(int, ftruncate, int, off_t);
    count_descriptor("truncate", descriptor, 0);
    return real(descriptor, length);
}

int ftruncate64(int descriptor, off64_t length) { return ftruncate(descriptor, length); }

static void count_names(const char *call, int base, const char *name, int other_base, const char *other) {
    char path[PATH_MAX], other_path[PATH_MAX];
    absolute(base, name, path);
    if (other) absolute(other_base, other, other_path);
    count(call, path, other ? other_path : NULL, 0);
}

int rename(const char *name, const char *other) {
    REAL(int, rename, const char *, const char *);
    count_names("rename", AT_FDCWD, name, AT_FDCWD, other);
    return real(name, other);
}

int renameat(int base, const char *name, int other_base, const char *other) {
    REAL(int, renameat, int, const char *, int, const char *);
    count_names("rename", base, name, other_base, other);
    return real(base, name, other_base, other);
}

int renameat2(int base, const char *name, int other_base, const char *other, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    count_names(flags & RENAME_EXCHANGE ? "exchange" : "rename", base, name, other_base, other);
    return real(base, name, other_base, other, flags);
}

int unlink(const char *name) {
    REAL(int, unlink, const char *);
    count_names("remove", AT_FDCWD, name, 0, NULL);
    return real(name);
}

int unlinkat(int base, const char *name, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    count_names("remove", base, name, 0, NULL);
    return real(base, name, flags);
}

int rmdir(const char *name) {
    REAL(int, rmdir, const char *);
    count_names("remove", AT_FDCWD, name, 0, NULL);
    return real(name);
}

int remove(const char *name) {
    REAL(int, remove, const char *);
    count_names("remove", AT_FDCWD, name, 0, NULL);
    return real(name);
}

int mkdir(const char *name, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    count_names("create", AT_FDCWD, name, 0, NULL);
    return real(name, mode);
}
