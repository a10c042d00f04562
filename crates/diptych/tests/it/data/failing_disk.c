/* A disk that fails: put before a program with LD_PRELOAD, this refuses to write to files while the file that
   DIPTYCH_TEST_DISK_FAILS names is there, with the number that stands in it as the reason (errno). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int refused(int file) {
    const char *name = getenv("DIPTYCH_TEST_DISK_FAILS");
    struct stat status;
    char digits[8] = {0};
    if (!name || fstat(file, &status) || !S_ISREG(status.st_mode)) return 0;
    int why = open(name, O_RDONLY);
    if (why < 0) return 0;
    ssize_t count = read(why, digits, sizeof digits - 1);
    close(why);
    if (count <= 0) return 0;
    errno = atoi(digits);
    return 1;
}

#define REFUSING(kind, name, parameters, arguments)                       \
    kind name parameters {                                                \
        static kind(*real) parameters;                                    \
        if (refused(file)) return -1;                                     \
        if (!real) real = (kind(*) parameters)dlsym(RTLD_NEXT, #name);    \
        return real arguments;                                            \
    }

REFUSING(ssize_t, write, (int file, const void *bytes, size_t count), (file, bytes, count))
REFUSING(ssize_t, pwrite64, (int file, const void *bytes, size_t count, off64_t place), (file, bytes, count, place))
REFUSING(int, fsync, (int file), (file))
REFUSING(int, fdatasync, (int file), (file))
REFUSING(int, ftruncate64, (int file, off64_t length), (file, length))
