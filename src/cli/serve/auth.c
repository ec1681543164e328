/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication: decoding, bcrypt by libxcrypt, and the memory of results.
 *
 * Results are found by an HMAC of user, hash and password under a key that lives as long as the process: no password is kept, and a
 * changed hash is another entry. Good and bad results have a memory each, so that guesses never push a scraper's entry out. */
#include "cli/serve/auth.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { KEY = 32, REMEMBERED = 100, DIGEST_CHARACTERS = 31, BCRYPT_MOST_BYTES = 72, WAIT_SECONDS = 5 };

/* Of a random password that nobody knows: an unknown user costs what a known one does. */
static const char nobody[] = "$2b$10$I5u5.ziMbGwHEVzCjXBG7.RcJOgGX3kFiE.peTIkTREyZXodCg6/C";

struct memory {
    unsigned char keys[REMEMBERED][KEY];
    size_t count;
    size_t next; /* the oldest, once it is full */
};

struct auth {
    unsigned char secret[KEY];
    pthread_mutex_t memory_mutex;
    struct memory good, bad;
    pthread_mutex_t bcrypt_mutex; /* taken before memory_mutex */
    struct crypt_data crypt;
    bool stopped; /* under memory_mutex */
};

struct auth *auth_create(void)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        return NULL;
    if (gnutls_rnd(GNUTLS_RND_KEY, auth->secret, sizeof auth->secret) != 0) {
        free(auth);
        return NULL;
    }
    pthread_mutex_init(&auth->memory_mutex, NULL);
    pthread_mutex_init(&auth->bcrypt_mutex, NULL);
    return auth;
}

void auth_destroy(struct auth *auth)
{
    if (!auth)
        return;
    pthread_mutex_destroy(&auth->memory_mutex);
    pthread_mutex_destroy(&auth->bcrypt_mutex);
    explicit_bzero(auth, sizeof *auth);
    free(auth);
}

void auth_stop(struct auth *auth)
{
    pthread_mutex_lock(&auth->memory_mutex);
    auth->stopped = true;
    pthread_mutex_unlock(&auth->memory_mutex);
}

/* -- Memory -- */

/* Looks at every entry, whichever is the one. */
static bool remembers(const struct memory *memory, const unsigned char key[KEY])
{
    int found = 0;
    for (size_t i = 0; i < memory->count; i++)
        found |= gnutls_memcmp(memory->keys[i], key, KEY) == 0;
    return found;
}

static void remember(struct memory *memory, const unsigned char key[KEY])
{
    memcpy(memory->keys[memory->next], key, KEY);
    memory->next = (memory->next + 1) % REMEMBERED;
    memory->count += memory->count < REMEMBERED;
}

/* False: not known yet. */
static bool recall(struct auth *auth, const unsigned char key[KEY], enum auth_result *result)
{
    pthread_mutex_lock(&auth->memory_mutex);
    bool good = remembers(&auth->good, key), bad = remembers(&auth->bad, key), stopped = auth->stopped;
    pthread_mutex_unlock(&auth->memory_mutex);
    *result = good ? AUTH_GOOD : bad ? AUTH_BAD : AUTH_BUSY;
    return good || bad || stopped;
}

/* -- One check -- */

struct credentials {
    const char *user;
    size_t user_size;
    const char *password;
    size_t password_size;
};

static bool make_key(const struct auth *auth, const struct credentials *given, const char *hash, unsigned char key[KEY])
{
    gnutls_hmac_hd_t hmac;
    if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, auth->secret, sizeof auth->secret) != 0)
        return false;
    gnutls_hmac(hmac, &given->user_size, sizeof given->user_size);
    gnutls_hmac(hmac, given->user, given->user_size);
    gnutls_hmac(hmac, hash, strlen(hash) + 1);
    gnutls_hmac(hmac, given->password, given->password_size);
    gnutls_hmac_deinit(hmac, key);
    return true;
}

/* bcrypt_mutex is held. */
static bool matches(struct auth *auth, const char *hash, const struct credentials *given)
{
    char phrase[BCRYPT_MOST_BYTES + 1] = { 0 }, setting[64] = "$2b";
    bool whole = !memchr(given->password, '\0', given->password_size); /* else bcrypt would see a part of it */
    if (whole)
        memcpy(phrase, given->password, given->password_size < BCRYPT_MOST_BYTES ? given->password_size : BCRYPT_MOST_BYTES);
    if (strncmp(hash, "$2$", 3) == 0) { /* the first version's name, which libxcrypt does not know; b is what it means today */
        strncat(setting, hash + 2, sizeof setting - 4);
        hash = setting;
    }
    const char *made = crypt_r(phrase, hash, &auth->crypt);
    size_t length = strlen(hash);
    bool same = made && strlen(made) == length &&
                gnutls_memcmp(made + length - DIGEST_CHARACTERS, hash + length - DIGEST_CHARACTERS, DIGEST_CHARACTERS) == 0;
    explicit_bzero(&auth->crypt, sizeof auth->crypt);
    explicit_bzero(phrase, sizeof phrase);
    return same && whole;
}

static enum auth_result check_password(struct auth *auth, const struct web_user *user, const struct credentials *given)
{
    const char *hash = user ? user->hash : nobody;
    unsigned char key[KEY];
    enum auth_result result;
    if (!make_key(auth, given, hash, key))
        return AUTH_BUSY;
    if (recall(auth, key, &result))
        return result;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    if (pthread_mutex_timedlock(&auth->bcrypt_mutex, &until) != 0)
        return AUTH_BUSY;
    if (!recall(auth, key, &result)) { /* else another with the same password was before us */
        result = matches(auth, hash, given) && user ? AUTH_GOOD : AUTH_BAD;
        pthread_mutex_lock(&auth->memory_mutex);
        remember(result == AUTH_GOOD ? &auth->good : &auth->bad, key);
        pthread_mutex_unlock(&auth->memory_mutex);
    }
    pthread_mutex_unlock(&auth->bcrypt_mutex);
    return result;
}

static const struct web_user *find_user(const struct web_config *config, const struct credentials *given)
{
    for (size_t i = 0; i < config->user_count; i++)
        if (strlen(config->users[i].name) == given->user_size && memcmp(config->users[i].name, given->user, given->user_size) == 0)
            return &config->users[i];
    return NULL;
}

enum auth_result auth_check(struct auth *auth, const struct web_config *config, const char *authorization)
{
    static const char scheme[] = "Basic ";
    if (config->user_count == 0)
        return AUTH_GOOD;
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return AUTH_BAD;
    const char *text = authorization + sizeof scheme - 1;
    gnutls_datum_t encoded = { .data = (unsigned char *)text, .size = (unsigned)strlen(text) }, plain = { 0 };
    if (gnutls_base64_decode2(&encoded, &plain) != 0)
        return AUTH_BAD;
    enum auth_result result = AUTH_BAD;
    const char *user = (const char *)plain.data, *colon = plain.size > 0 ? memchr(user, ':', plain.size) : NULL;
    if (colon) {
        struct credentials given = { user, (size_t)(colon - user), colon + 1, plain.size - (size_t)(colon + 1 - user) };
        result = check_password(auth, find_user(config, &given), &given);
    }
    if (plain.data)
        explicit_bzero(plain.data, plain.size);
    gnutls_free(plain.data);
    return result;
}
