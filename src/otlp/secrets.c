/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in texts. They are looked for before the text is cut, so that none is shown in part. */
#include "otlp/secrets.h"

#include "base/buffer.h"
#include "base/hexadecimal.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PART = 8 }; /* so many bytes in a row of a secret are one */

static const char between[] = " \t:=&?;,@\"'", stars[] = "***";

/* -- The words -- */

/* Adds each word of a text. */
static enum kvtel_status add_words(struct otlp_secrets *secrets, const char *text, size_t size)
{
    enum kvtel_status status = KVTEL_OK;
    for (const char *end = text + size; text < end && status == KVTEL_OK;) {
        size_t word = 0;
        while (text + word < end && text[word] && !strchr(between, text[word]))
            word++;
        if (word > 0)
            status = kvtel_buffer_append(&secrets->words, text, word);
        if (word > 0 && status == KVTEL_OK)
            status = kvtel_buffer_append(&secrets->words, "", 1);
        text += word + 1;
    }
    return status;
}

/* Decodes %XX; a % without two digits stands for itself. @return its size */
static size_t decode(const char *text, size_t size, char *to)
{
    size_t made = 0;
    for (size_t i = 0; i < size; i++) {
        int high = text[i] == '%' && i + 2 < size ? kvtel_digit_of(text[i + 1]) : -1;
        int low = high >= 0 ? kvtel_digit_of(text[i + 2]) : -1;
        to[made] = text[i];
        if (low >= 0) {
            to[made] = (char)(high << 4 | low);
            i += 2;
        }
        made++;
    }
    return made;
}

/* Adds the words of a part of the URL, as it is and decoded, and for the user what goes into the header. */
static enum kvtel_status add_part(struct otlp_secrets *secrets, const char *text, size_t size, bool user)
{
    char *plain = malloc(size + 1);
    enum kvtel_status status = plain ? add_words(secrets, text, size) : KVTEL_E_NOMEM;
    if (status == KVTEL_OK) {
        gnutls_datum_t data = { (unsigned char *)plain, (unsigned)decode(text, size, plain) }, packed = { 0 };
        status = add_words(secrets, plain, data.size);
        if (status == KVTEL_OK && user && gnutls_base64_encode2(&data, &packed) != 0)
            status = KVTEL_E_NOMEM;
        if (status == KVTEL_OK && user)
            status = add_words(secrets, (const char *)packed.data, packed.size);
        gnutls_free(packed.data);
    }
    free(plain);
    return status;
}

/* Adds the words of a header's value, less the scheme, and what is packed in "Basic ...". */
static enum kvtel_status add_header(struct otlp_secrets *secrets, const char *value)
{
    static const char *const schemes[] = { "Basic ", "Bearer " };
    gnutls_datum_t packed = { 0 }, plain = { 0 };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncasecmp(value, schemes[i], strlen(schemes[i])) == 0) {
            value += strlen(schemes[i]);
            packed = (gnutls_datum_t){ (unsigned char *)(uintptr_t)value, i == 0 ? (unsigned)strlen(value) : 0 };
        }
    enum kvtel_status status = add_words(secrets, value, strlen(value));
    if (status == KVTEL_OK && packed.size > 0 && gnutls_base64_decode2(&packed, &plain) == 0)
        status = add_words(secrets, (const char *)plain.data, plain.size);
    gnutls_free(plain.data);
    return status;
}

enum kvtel_status otlp_secrets_init(struct otlp_secrets *secrets, const struct otlp_settings *settings)
{
    const char *user = strstr(settings->url, "//") + 2, *query = strchr(settings->url, '?');
    const char *at = memrchr(user, '@', strcspn(user, "/?#"));
    *secrets = (struct otlp_secrets){ 0 };
    enum kvtel_status status = at ? add_part(secrets, user, (size_t)(at - user), true) : KVTEL_OK;
    if (status == KVTEL_OK && query)
        status = add_part(secrets, query, strlen(query), false);
    for (size_t i = 0; i < settings->headers.count && status == KVTEL_OK; i++)
        status = add_header(secrets, settings->headers.pairs[i].value);
    return status;
}

void otlp_secrets_free(struct otlp_secrets *secrets)
{
    kvtel_buffer_free(&secrets->words);
}

/* -- Hiding -- */

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t common(const char *one, size_t size, const char *other, size_t other_size)
{
    size_t same = 0, most = size < other_size ? size : other_size;
    while (same < most && one[same] == other[same])
        same++;
    return same;
}

/* How many bytes at `text` are of the secret; 0: none. `begins`: no word goes on here. */
static size_t match(const char *word, const char *text, size_t size, bool begins)
{
    const size_t all = strlen(word);
    size_t longest = 0;
    if (all < PART) {
        const bool is_there = begins && common(word, all, text, size) == all;
        return is_there && (size == all || !is_word_byte(text[all])) ? all : 0;
    }
    for (size_t from = 0; from + PART <= all; from++) {
        const size_t same = common(word + from, all - from, text, size);
        longest = same >= PART && same > longest ? same : longest;
    }
    return longest;
}

static size_t secret_at(const struct otlp_secrets *secrets, const char *text, size_t size, bool begins)
{
    const char *word = secrets->words.bytes, *end = word + secrets->words.size;
    size_t longest = 0;
    for (; word < end; word += strlen(word) + 1) {
        const size_t found = match(word, text, size, begins);
        longest = found > longest ? found : longest;
    }
    return longest;
}

void otlp_secrets_hide(const struct otlp_secrets *secrets, const char *text, size_t size, char *copy, size_t room)
{
    size_t made = 0;
    for (size_t i = 0; i < size && text[i] && !strchr("\r\n", text[i]) && made + 1 < room;) {
        const bool begins = i == 0 || !is_word_byte(text[i - 1]);
        const size_t hidden = secret_at(secrets, text + i, size - i, begins);
        for (const char *star = stars; hidden > 0 && *star && made + 1 < room; star++)
            copy[made++] = *star;
        if (hidden == 0)
            copy[made++] = text[i];
        i += hidden > 0 ? hidden : 1;
    }
    copy[made] = '\0';
}
