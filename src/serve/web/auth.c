/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication: decoding, bcrypt by libxcrypt, the memory of results, and the line of callers that wait for
 * bcrypt.
 *
 * Results are found by an HMAC of user, hash and password under a key that is random for each process. So no
 * password is kept, and a changed hash gets a new entry. Good and bad results have separate memories, so that
 * guesses never push a scraper's entry out.
 *
 * One password is computed at a time. A caller with a user's name goes first, so that users never wait for guesses
 * at other names. This must not show a guesser which names exist. So a wrong password of a user is answered only
 * when the turn of an unknown name would have come, and after as much work. */
#include "serve/web/auth.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { KEY = 32, REMEMBERED = 100, DIGEST_CHARACTERS = 31, BCRYPT_MOST_BYTES = 72, WAIT_SECONDS = 5 };

struct memory {
    unsigned char keys[REMEMBERED][KEY];
    size_t count;
    size_t next; /* the place to overwrite next, when all are in use: the oldest */
};

/* One call that waits for bcrypt; lives on the caller's stack. */
struct waiter {
    struct waiter *next;
    const unsigned char *address, *key;
    /* The name is a user's and the password was not computed yet: this caller goes first. */
    bool user;
    bool turn;  /* has the turn: may compute now */
    bool usual; /* would have the turn with any name */
    bool computed;
    bool answered;
    enum auth_result result; /* AUTH_BUSY until answered */
    pthread_cond_t wake;
};

struct auth {
    unsigned char secret[KEY];
    pthread_mutex_t mutex; /* guards all members below but `crypt`, which belongs to the caller with the turn */
    struct memory good, bad;
    struct waiter *newest; /* the line of callers, the newest first */
    bool busy;             /* a caller has the turn */
    bool stopped;
    struct crypt_data crypt;
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
    pthread_mutex_init(&auth->mutex, NULL);
    return auth;
}

void auth_destroy(struct auth *auth)
{
    if (!auth)
        return;
    pthread_mutex_destroy(&auth->mutex);
    explicit_bzero(auth, sizeof *auth);
    free(auth);
}

void auth_stop(struct auth *auth)
{
    pthread_mutex_lock(&auth->mutex);
    auth->stopped = true;
    for (struct waiter *each = auth->newest; each; each = each->next)
        pthread_cond_signal(&each->wake);
    pthread_mutex_unlock(&auth->mutex);
}

/* -- Memory; the mutex is held -- */

/* Compares with every entry, so that the time does not show which one matched. */
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

/* Looks the result up. False: not remembered. */
static bool recall(const struct auth *auth, const unsigned char key[KEY], enum auth_result *result)
{
    bool good = remembers(&auth->good, key), bad = remembers(&auth->bad, key);
    *result = good ? AUTH_GOOD : bad ? AUTH_BAD : AUTH_BUSY;
    return good || bad || auth->stopped;
}

/* -- The line; the mutex is held -- */

static unsigned waiting_from(const struct auth *auth, const unsigned char *address)
{
    unsigned count = 0;
    for (const struct waiter *each = auth->newest; each; each = each->next)
        count += memcmp(each->address, address, AUTH_ADDRESS) == 0;
    return count;
}

/* Chooses the next caller: of the address with the fewest callers, the newest one. So an address that fills the line
 * waits longest. `users`: among callers with a user's name only. NULL: nobody waits. */
static struct waiter *choose(const struct auth *auth, bool users)
{
    struct waiter *chosen = NULL;
    unsigned least = 0;
    for (struct waiter *each = auth->newest; each; each = each->next) {
        unsigned count = each->answered || (users && !each->user) ? 0 : waiting_from(auth, each->address);
        if (count > 0 && (!chosen || count < least)) {
            chosen = each;
            least = count;
        }
    }
    return chosen;
}

/* Passes the turn to the next caller. */
static void hand_on(struct auth *auth)
{
    struct waiter *usual = choose(auth, false), *first = choose(auth, true), *next = first ? first : usual;
    auth->busy = next;
    if (!next)
        return;
    next->turn = true;
    next->usual = next == usual;
    pthread_cond_signal(&next->wake);
}

static void leave(struct auth *auth, struct waiter *waiter)
{
    pthread_cond_destroy(&waiter->wake);
    struct waiter **place = &auth->newest;
    while (*place != waiter)
        place = &(*place)->next;
    *place = waiter->next;
}

/* Waits for the turn. False: the caller was answered without it, or the time is over. */
static bool await(struct auth *auth, struct waiter *waiter, const struct timespec *until)
{
    int failure = 0;
    while (!waiter->turn && !waiter->answered && !auth->stopped && failure == 0)
        failure = pthread_cond_timedwait(&waiter->wake, &auth->mutex, until);
    return waiter->turn;
}

/* Remembers a result and gives it to all callers with the same credentials. */
static void announce(struct auth *auth, const unsigned char key[KEY], enum auth_result result)
{
    remember(result == AUTH_GOOD ? &auth->good : &auth->bad, key);
    for (struct waiter *each = auth->newest; each; each = each->next)
        if (memcmp(each->key, key, KEY) == 0) {
            each->answered = true;
            each->result = result;
            pthread_cond_signal(&each->wake);
        }
}

/* -- bcrypt -- */

/* The cost in a hash, which the configuration found well-formed; the work is 2 to this power. */
static int cost_of(const char *hash)
{
    const char *digits = strchr(hash + 1, '$');
    return digits ? (digits[1] - '0') * 10 + digits[2] - '0' : 0;
}

static int dearest_cost(const struct web_config *config)
{
    int most = 0;
    for (size_t i = 0; i < config->user_count; i++)
        if (cost_of(config->users[i].hash) > most)
            most = cost_of(config->users[i].hash);
    return most;
}

/* Does the work of a hash of this cost and drops the result. The caller has the turn. */
static void spend(struct auth *auth, int cost)
{
    char setting[32];
    snprintf(setting, sizeof setting, "$2b$%02d$I5u5.ziMbGwHEVzCjXBG7.", cost % 100);
    if (!crypt_r("", setting, &auth->crypt))
        explicit_bzero(&auth->crypt, sizeof auth->crypt);
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

/* Whether the password matches the hash. The caller has the turn. */
static bool matches(struct auth *auth, const char *hash, const struct credentials *given)
{
    char phrase[BCRYPT_MOST_BYTES + 1] = { 0 }, setting[64] = "$2b";
    bool whole = !memchr(given->password, '\0', given->password_size); /* bcrypt would ignore what follows a NUL */
    if (whole)
        memcpy(phrase, given->password,
               given->password_size < BCRYPT_MOST_BYTES ? given->password_size : BCRYPT_MOST_BYTES);
    if (strncmp(hash, "$2$", 3) ==
        0) { /* "$2$" is the first version's name, which libxcrypt does not know; "$2b$" has the same meaning today */
        strncat(setting, hash + 2, sizeof setting - 4);
        hash = setting;
    }
    const char *made = crypt_r(phrase, hash, &auth->crypt);
    size_t length = strlen(hash);
    bool same =
        made && strlen(made) == length &&
        gnutls_memcmp(made + length - DIGEST_CHARACTERS, hash + length - DIGEST_CHARACTERS, DIGEST_CHARACTERS) == 0;
    explicit_bzero(&auth->crypt, sizeof auth->crypt);
    explicit_bzero(phrase, sizeof phrase);
    return same && whole;
}

/* Checks the password, with the turn and without the mutex. A refusal always takes the work of the dearest user's
 * hash. Each cost doubles the work, so 2^c for the user's own hash and then 2^c + 2^(c+1) + ... + 2^(d-1) add up to
 * 2^d. */
static bool compute(struct auth *auth, const struct web_config *config, const struct web_user *user,
                    const struct credentials *given)
{
    int dearest = dearest_cost(config);
    if (!user) {
        spend(auth, dearest);
        return false;
    }
    if (matches(auth, user->hash, given))
        return true;
    for (int cost = cost_of(user->hash); cost < dearest; cost++)
        spend(auth, cost);
    return false;
}

/* Uses the turn and passes it on. The mutex is held, but released while computing. */
static void use_turn(struct auth *auth, const struct web_config *config, const struct web_user *user,
                     const struct credentials *given, struct waiter *waiter)
{
    bool good = false;
    if (!waiter->computed) {
        pthread_mutex_unlock(&auth->mutex);
        good = compute(auth, config, user, given);
        pthread_mutex_lock(&auth->mutex);
        waiter->computed = true;
    }
    if (good || waiter->usual)
        announce(auth, waiter->key, good ? AUTH_GOOD : AUTH_BAD);
    waiter->turn = waiter->user = false; /* without an answer, the caller waits for the turn that any name would get */
    hand_on(auth);
}

/* Joins the line. The mutex is held. */
static void join(struct auth *auth, struct waiter *waiter)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    waiter->next = auth->newest;
    auth->newest = waiter;
    if (!auth->busy)
        hand_on(auth);
}

static enum auth_result check_password(struct auth *auth, const struct web_config *config, const struct web_user *user,
                                       const struct credentials *given, const unsigned char *address)
{
    unsigned char key[KEY];
    enum auth_result result;
    if (!make_key(auth, given, user ? user->hash : "", key))
        return AUTH_BUSY;
    pthread_mutex_lock(&auth->mutex);
    if (!recall(auth, key, &result)) {
        struct waiter waiter = { .address = address, .key = key, .user = user, .result = AUTH_BUSY };
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += WAIT_SECONDS;
        join(auth, &waiter);
        while (await(auth, &waiter, &until))
            use_turn(auth, config, user, given, &waiter);
        leave(auth, &waiter);
        result = waiter.result;
    }
    pthread_mutex_unlock(&auth->mutex);
    return result;
}

static const struct web_user *find_user(const struct web_config *config, const struct credentials *given)
{
    for (size_t i = 0; i < config->user_count; i++)
        if (strlen(config->users[i].name) == given->user_size &&
            memcmp(config->users[i].name, given->user, given->user_size) == 0)
            return &config->users[i];
    return NULL;
}

enum auth_result auth_check(struct auth *auth, const struct web_config *config, const unsigned char *address,
                            const char *authorization)
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
        result = check_password(auth, config, find_user(config, &given), &given, address);
    }
    if (plain.data)
        explicit_bzero(plain.data, plain.size);
    gnutls_free(plain.data);
    return result;
}
