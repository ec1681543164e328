/* SPDX-License-Identifier: Apache-2.0 */
/* The flags that name an exporter. */
#include "top/url.h"

#include "command/command.h"

#include <errno.h>
#include <string.h>

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

int top_url_parse(const char *command, const char *text, char *url, size_t size)
{
    static const char *const path = "/api/v1/summary"; /* somebody copied it from there */
    const bool has_scheme = strstr(text, "://");
    const char *host = has_scheme ? strstr(text, "://") + 3 : text;
    size_t length = strlen(host);
    const size_t authority = strcspn(host, "/?#");
    if ((has_scheme && !begins(text, "http://") && !begins(text, "https://")) || authority == 0 ||
        strpbrk(host, "?# \t\r\n"))
        return command_usage(command, "--url is http://HOST:PORT or https://HOST:PORT, not \"%s\"", text);
    if (memchr(host, '@', authority))
        return command_usage(command, "--url: give the user by --url.user and --url.password-file, not in the URL");
    while (length > 0 && host[length - 1] == '/')
        length--;
    if (length > strlen(path) && strncmp(host + length - strlen(path), path, strlen(path)) == 0)
        length -= strlen(path);
    const int whole =
        snprintf(url, size, "%s%.*s", begins(text, "https://") ? "https://" : "http://", (int)length, host);
    if (whole < 0 || (size_t)whole >= size)
        return command_usage(command, "--url is too long");
    return -1;
}

bool top_url_take(int option, const char *text, struct top_remote_options *remote)
{
    switch (option) {
    case TOP_FLAG_USER:
        remote->user = text;
        return true;
    case TOP_FLAG_CA:
        remote->authorities = text;
        return true;
    case TOP_FLAG_CERT:
        remote->certificate = text;
        return true;
    case TOP_FLAG_KEY:
        remote->key = text;
        return true;
    default:
        return false;
    }
}

int top_url_password(const char *path, char *password, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return command_fail("--url.password-file=%s: %s", path, strerror(errno));
    const bool good = fgets(password, (int)size, file);
    const int failure = ferror(file) ? errno : 0;
    fclose(file);
    if (failure)
        return command_fail("--url.password-file=%s: %s", path, strerror(failure));
    const size_t length = good ? strcspn(password, "\r\n") : 0;
    if (length == 0 || length + 1 == size)
        return command_fail("--url.password-file=%s: its first line is %s", path, length == 0 ? "empty" : "too long");
    password[length] = '\0';
    return -1;
}

int top_url_check(const char *command, bool has_url, const struct top_remote_options *remote)
{
    if (!has_url && (remote->user || remote->password || remote->authorities || remote->certificate || remote->key))
        return command_usage(command, "--url.user, --url.password-file and the files of TLS go with --url");
    if (!remote->user != !remote->password)
        return command_usage(command, "--url.user and --url.password-file go together");
    if (!remote->certificate != !remote->key)
        return command_usage(command, "--url.cert-file and --url.key-file go together");
    return -1;
}
