/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a recording's file for the commands. */
#include "cli/input.h"

#include "command/command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool input_open(struct input *input, const char *path)
{
    struct stat status;
    *input = (struct input){ .path = path, .progress = isatty(STDERR_FILENO) };
    input->file = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (input->file < 0 || fstat(input->file, &status) != 0) {
        command_fail("%s: %s", path, strerror(errno));
        return false;
    }
    if (S_ISDIR(status.st_mode)) {
        command_fail("%s: is a directory; name a recording", path);
        input_close(input);
        return false;
    }
    input->size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
    clock_gettime(CLOCK_MONOTONIC, &input->last);
    return true;
}

void input_close(struct input *input)
{
    if (input->shown)
        fputs("\r\033[K", stderr);
    if (input->file > STDIN_FILENO)
        close(input->file);
    input->file = -1;
}

const char *input_name(const struct input *input)
{
    return strcmp(input->path, "-") == 0 ? "standard input" : input->path;
}

/* Shows the progress in a line that is overwritten, at most five times a second and not in the first second. */
static void show_progress(struct input *input)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double elapsed = (double)(now.tv_sec - input->last.tv_sec) + (double)(now.tv_nsec - input->last.tv_nsec) / 1e9;
    if (elapsed < (input->shown ? 0.2 : 1))
        return;
    input->last = now;
    input->shown = true;
    if (input->size > 0)
        fprintf(stderr, "\r%s: %3.0f %% of %.0f MiB\033[K", input_name(input),
                100 * (double)input->done / (double)input->size, (double)input->size / 0x1p20);
    else
        fprintf(stderr, "\r%s: %.0f MiB\033[K", input_name(input), (double)input->done / 0x1p20);
    fflush(stderr);
}

size_t input_read(void *context, void *bytes, size_t size)
{
    struct input *input = context;
    ssize_t got;
    do
        got = read(input->file, bytes, size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return SIZE_MAX;
    input->done += (uint64_t)got;
    if (input->progress)
        show_progress(input);
    return (size_t)got;
}
