/* SPDX-License-Identifier: Apache-2.0 */
/* Detects requests that a page of another site made a browser send. */
#include "serve/web/cross_site.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { NAME_SIZE = 256 };

/* Copies the name of "name:port" or "[address]:port", without port, brackets and a final dot. False: too long. */
static bool host_name(const char *host, char name[NAME_SIZE])
{
    size_t length = *host == '[' ? strcspn(++host, "]") : strcspn(host, ":");
    if (length >= NAME_SIZE)
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    if (length > 1 && name[length - 1] == '.')
        name[length - 1] = '\0';
    return true;
}

static bool is_loopback(const char *name)
{
    static const char localhost[] = "localhost";
    struct in_addr four;
    struct in6_addr six;
    size_t length = strlen(name), tail = sizeof localhost - 1;
    if (inet_pton(AF_INET, name, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, name, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
    return length >= tail && strcasecmp(name + length - tail, localhost) == 0 &&
           (length == tail || name[length - tail - 1] == '.');
}

static bool is_ours(const struct cross_site_request *request, const char *name)
{
    char own[NAME_SIZE];
    if (is_loopback(name) ||
        (gethostname(own, sizeof own) == 0 && memchr(own, '\0', sizeof own) && *own && strcasecmp(own, name) == 0))
        return true;
    for (size_t i = 0; i < request->allowed_count; i++)
        if (strcasecmp(request->allowed[i], name) == 0)
            return true;
    return false;
}

/* Whether an Origin is the address to which the request was sent. The scheme is not compared, because a proxy that
 * ends TLS changes it. */
static bool is_same_origin(const char *origin, const char *host)
{
    const char *behind = strstr(origin, "://");
    return behind && host && strcasecmp(behind + 3, host) == 0;
}

static bool is_form(const char *content_type)
{
    static const char *const types[] = { "application/x-www-form-urlencoded", "multipart/form-data", "text/plain" };
    size_t length = strcspn(content_type, "; \t,");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i]) == length && strncasecmp(content_type, types[i], length) == 0)
            return true;
    return false;
}

enum cross_site cross_site_check(const struct cross_site_request *request)
{
    const char *site = request->fetch_site;
    char name[NAME_SIZE];
    /* Sec-Fetch-Site is more reliable than Origin: it is also right behind a proxy with another name. */
    if (site ? strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0
             : request->origin && !is_same_origin(request->origin, request->host))
        return CROSS_SITE_ORIGIN;
    /* Browsers always send a Host, so a request without one does not come from a browser. */
    if (request->check_host && request->host && *request->host &&
        (!host_name(request->host, name) || !is_ours(request, name)))
        return CROSS_SITE_HOST;
    return request->content_type && is_form(request->content_type) ? CROSS_SITE_FORM : CROSS_SITE_NOT;
}

bool cross_site_is_name(const char *text)
{
    struct in6_addr six;
    return *text && (inet_pton(AF_INET6, text, &six) == 1 ||
                     strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._") == strlen(text));
}
