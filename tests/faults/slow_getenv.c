/* Widens a race in Chromium's start, when loaded into a browser with LD_PRELOAD.
 *
 * A pool thread looks up DBUS_* variables while the main thread adds variables. Like glibc's
 * getenv, this one reads the address of the environment first. It then gives the main thread 60 ms to move
 * the environment before it reads the first entry.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int is_pool_thread(void) {
    char name[16] = "";
    return prctl(PR_GET_NAME, name) == 0 && strncmp(name, "ThreadPool", 10) == 0;
}

char *getenv(const char *name) {
    char **entry = environ;
    size_t length = strlen(name);
    if (strncmp(name, "DBUS_", 5) == 0 && is_pool_thread()) {
        struct timespec window = {.tv_nsec = 60000000};
        nanosleep(&window, NULL);
    }
    for (; entry && *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}
