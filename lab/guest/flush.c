/* flush MILLISECONDS: has each processor switch between two processes so often, which makes it forget what it knows of its memory.
 *
 * QEMU before 9.0 does not tell its emulated processors that a page counts as not written any more when it has read which were
 * (physmem: "Fix migration dirty bitmap coherency with TCG memory access", 2024): what is written until they forget is missing at
 * the target of a live move, and the guest's kernel dies there. A switch of processes makes them forget. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EACH = 2 };

int main(int argc, char **argv)
{
    long milliseconds = argc > 1 ? atol(argv[1]) : 0;
    if (milliseconds <= 0 || milliseconds >= 1000) {
        fprintf(stderr, "usage: flush MILLISECONDS\n");
        return 2;
    }
    struct timespec pause = {0, milliseconds * 1000000};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    for (long number = 0; number < processors * EACH; number++) {
        if (fork() != 0)
            continue;
        cpu_set_t own;
        CPU_ZERO(&own);
        CPU_SET(number / EACH, &own);
        sched_setaffinity(0, sizeof own, &own);
        for (;;)
            nanosleep(&pause, NULL);
    }
    return 0;
}
