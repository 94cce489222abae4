/* dirty RATE_MB SIZE_MB: writes one word into RATE_MB of pages every second, going round a buffer of SIZE_MB.
 * One word a page is enough to make the page dirty, and is cheap under emulation. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096, TICKS = 10 };

int main(int argc, char **argv)
{
    long rate = argc > 1 ? atol(argv[1]) : 0;
    long size = argc > 2 ? atol(argv[2]) : 0;
    if (rate <= 0 || size <= 0) {
        fprintf(stderr, "usage: dirty RATE_MB SIZE_MB\n");
        return 2;
    }
    size_t pages = (size_t)size * 1024 * 1024 / PAGE;
    size_t per_tick = (size_t)rate * 1024 * 1024 / PAGE / TICKS;
    volatile unsigned long *buffer = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    unsigned long value = 1;
    for (size_t page = 0;; value++) {
        for (size_t done = 0; done < per_tick; done++) {
            buffer[page * (PAGE / sizeof *buffer)] = value;
            page = (page + 1) % pages;
        }
        next.tv_nsec += 1000000000L / TICKS;
        if (next.tv_nsec >= 1000000000L) {
            next.tv_nsec -= 1000000000L;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
