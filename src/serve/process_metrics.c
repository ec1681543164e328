/* SPDX-License-Identifier: Apache-2.0 */
/* The process_* metrics of Prometheus' client libraries, read from proc(5). */
#include "serve/metric_set.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct process_stat {
    double cpu_ticks, start_ticks, virtual_bytes, resident_pages;
};

static bool read_stat(struct process_stat *stat)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = '\0';
    /* The second field is the program's name in parentheses, which may contain anything. */
    const char *fields = strrchr(text, ')');
    unsigned long long user, system, start, virtual_bytes;
    long long resident;
    if (!fields ||
        sscanf(fields + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %llu %lld", &user,
               &system, &start, &virtual_bytes, &resident) != 5)
        return false;
    *stat =
        (struct process_stat){ (double)user + (double)system, (double)start, (double)virtual_bytes, (double)resident };
    return true;
}

/* The time of the machine's boot in seconds since 1970; 0: not known. */
static double boot_time(void)
{
    char line[128];
    double seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "btime %lf", &seconds) != 1)
        continue;
    if (file)
        fclose(file);
    return seconds;
}

static int open_files(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return count > 0 ? count - 1 : 0; /* without the descriptor of the directory itself */
}

static double limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return 0;
    return limit.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0 : (double)limit.rlim_cur;
}

void metric_set_process(struct metric_set *set)
{
    struct process_stat stat;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    if (read_stat(&stat)) {
        metric_set_counter(set, "process_cpu_seconds", "Total user and system CPU time spent in seconds.", NULL, NULL,
                           stat.cpu_ticks / ticks);
        metric_set_gauge(set, "process_virtual_memory_bytes", "Virtual memory size in bytes.", NULL, NULL,
                         stat.virtual_bytes);
        metric_set_gauge(set, "process_resident_memory_bytes", "Resident memory size in bytes.", NULL, NULL,
                         stat.resident_pages * (double)sysconf(_SC_PAGESIZE));
        double boot = boot_time();
        if (boot > 0)
            metric_set_gauge(set, "process_start_time_seconds",
                             "Start time of the process since the Unix epoch in seconds.", NULL, NULL,
                             boot + stat.start_ticks / ticks);
    }
    metric_set_gauge(set, "process_open_fds", "Number of open file descriptors.", NULL, NULL, open_files());
    metric_set_gauge(set, "process_max_fds", "Maximum number of open file descriptors.", NULL, NULL,
                     limit_of(RLIMIT_NOFILE));
    metric_set_gauge(set, "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
                     NULL, NULL, limit_of(RLIMIT_AS));
}
