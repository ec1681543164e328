/* SPDX-License-Identifier: Apache-2.0 */
/* The table of peers. A place is written once and then only read, so that a post finds its peer without a lock;
 * but for the peer of an agent, which the application may name anew. */
#include <string.h>

#include "lock.h"
#include "record/lane.h"
#include "record/thread.h"
#include "state.h"

enum {
    PLACES = 1024, /* of agents' names: several agents can have one name as peers */
    LINE = 64,     /* bytes of a line of the cache */
    TRIES = 64     /* of a post, to find a peer that is being named anew */
};

#define NO_SLOT UINT32_MAX

/* A name as long as a UUID is in the first line of the cache. */
struct place {
    _Alignas(LINE) _Atomic uint64_t hash; /* 0: free; published last */
    _Atomic uint32_t peer;
    uint32_t size;
    char agent[PLUGIN_PEER_NAME];
};

/* A post makes a peer USED for good. One that is not can be given up: then no post uses it any more. */
enum use { UNUSED, USED, GIVEN_UP };

/* A number for each series of a peer. */
struct numbers {
    uint32_t transfers[PLUGIN_DIRECTIONS][KVTEL_NIXL_OUTCOMES];
    uint32_t bytes[PLUGIN_DIRECTIONS];
};

/* What a transfer needs is the first line of the cache. */
struct peer {
    _Alignas(LINE) _Atomic int use; /* enum use */
    uint32_t number;                /* the store's, of open transfers */
    struct numbers slots;           /* in a lane; NO_SLOT: the store has no room for the series */
    struct numbers series;
    char name[PLUGIN_PEER_NAME];
    struct kvtel_exemplar exemplar;
};

static struct place places[PLACES];
static struct peer peers[PLUGIN_PEERS + 1]; /* the last one: other */
static size_t peer_count;
static struct plugin_lock lock; /* of what is written: the places, the peers and their number */

/* Two halves of a text of 4 to 7 bytes, which overlap; all bytes of a shorter one. */
static inline uint64_t short_word(const char *bytes, size_t size)
{
    uint32_t first = 0, last = 0;
    if (size >= sizeof(first)) {
        memcpy(&first, bytes, sizeof(first));
        memcpy(&last, bytes + size - sizeof(last), sizeof(last));
    } else {
        for (size_t i = 0; i < size; i++)
            first = first << 8 | (uint8_t)bytes[i];
    }
    return (uint64_t)last << 32 | first;
}

static inline uint64_t word_at(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* As memcmp(), but without a call of the library: names are short. */
static inline bool is_equal(const char *one, const char *other, size_t size)
{
    enum { WORD = sizeof(uint64_t) };
    if (size < WORD)
        return short_word(one, size) == short_word(other, size);
    for (size_t i = 0; i < size - WORD; i += WORD) {
        if (word_at(one + i) != word_at(other + i))
            return false;
    }
    return word_at(one + size - WORD) == word_at(other + size - WORD);
}

/* Of the first and last bytes, since it is made for each post. Names that collide are found by probing. */
static inline uint64_t hash_of(struct plugin_text name)
{
    const bool is_short = name.size < sizeof(uint64_t);
    const uint64_t first = is_short ? short_word(name.bytes, name.size) : word_at(name.bytes);
    const uint64_t last = is_short ? first : word_at(name.bytes + name.size - sizeof(last));
    return (first * UINT64_C(0x9e3779b97f4a7c15) ^ last * UINT64_C(0xc2b2ae3d27d4eb4f) ^ name.size) >> 20 | UINT64_C(1)
                                                                                                                << 63;
}

static inline bool is_place(const struct place *place, uint64_t hash, struct plugin_text name)
{
    return atomic_load_explicit(&place->hash, memory_order_acquire) == hash && place->size == name.size &&
           is_equal(place->agent, name.bytes, name.size);
}

/* The place of an agent's name. NULL: it has none. */
static struct place *find_place(struct plugin_text name)
{
    if (name.size == 0 || name.size > PLUGIN_PEER_NAME || !name.bytes)
        return NULL;
    const uint64_t hash = hash_of(name);
    for (uint64_t i = 0; i < PLACES; i++) {
        struct place *place = &places[(hash + i) % PLACES];
        if (is_place(place, hash, name))
            return place;
        if (atomic_load_explicit(&place->hash, memory_order_relaxed) == 0)
            break;
    }
    return NULL;
}

/* Whether the peer is this place's and stays so, now that it is in use. */
static bool use_peer(const struct place *place, uint32_t index)
{
    int use = atomic_load_explicit(&peers[index].use, memory_order_acquire);
    if (use == UNUSED && atomic_compare_exchange_strong(&peers[index].use, &use, USED))
        return atomic_load(&place->peer) == index; /* else it became another's in between */
    return use == USED && atomic_load_explicit(&place->peer, memory_order_acquire) == index;
}

uint32_t plugin_peer_find(struct plugin_text name)
{
    const struct place *place = find_place(name);
    for (int tries = 0; place && tries < TRIES; tries++) {
        const uint32_t index = atomic_load_explicit(&place->peer, memory_order_acquire);
        if (index == PLUGIN_OTHER_PEER || use_peer(place, index))
            return index;
    }
    return PLUGIN_OTHER_PEER;
}

static void make_one(uint32_t family, const char *const *values, size_t count, uint32_t *series, uint32_t *slot)
{
    if (kvtel_store_series(plugin_records.store, family, values, count, series) == KVTEL_OK)
        *slot = plugin_records.store->series[*series].slot;
}

static void make_series(struct peer *peer)
{
    static const char *const directions[PLUGIN_DIRECTIONS] = { "tx", "rx" };
    uint32_t families[2];
    memset(&peer->series, 0xff, sizeof(peer->series));
    memset(&peer->slots, 0xff, sizeof(peer->slots));
    if (kvtel_store_family(plugin_records.store, &kvtel_nixl_plugin_families[KVTEL_NIXL_PEER_TRANSFERS],
                           &families[0]) != KVTEL_OK ||
        kvtel_store_family(plugin_records.store, &kvtel_nixl_plugin_families[KVTEL_NIXL_PEER_BYTES], &families[1]) !=
            KVTEL_OK)
        return;
    for (int i = 0; i < PLUGIN_DIRECTIONS; i++) {
        const char *values[] = { directions[i], peer->name, NULL };
        for (int outcome = 0; outcome < KVTEL_NIXL_OUTCOMES; outcome++) {
            values[2] = kvtel_nixl_outcome_text((enum kvtel_nixl_outcome)outcome);
            make_one(families[0], values, 3, &peer->series.transfers[i][outcome], &peer->slots.transfers[i][outcome]);
        }
        make_one(families[1], values, 2, &peer->series.bytes[i], &peer->slots.bytes[i]);
    }
}

static void make_exemplar(struct peer *peer)
{
    memset(&peer->exemplar, 0, sizeof(peer->exemplar));
    (void)kvtel_exemplar_add(&peer->exemplar, "peer", peer->name);
}

static size_t kept_size(struct plugin_text name)
{
    return name.size < PLUGIN_PEER_NAME - 1 ? name.size : PLUGIN_PEER_NAME - 1;
}

static bool is_name(const struct peer *peer, struct plugin_text name)
{
    return strlen(peer->name) == kept_size(name) && memcmp(peer->name, name.bytes, kept_size(name)) == 0;
}

/* The peer of this name, made if there is room. */
static uint32_t find_or_make(struct plugin_text name)
{
    for (uint32_t i = 0; i < peer_count; i++) {
        if (is_name(&peers[i], name))
            return i;
    }
    if (peer_count == PLUGIN_PEERS || is_name(&peers[PLUGIN_OTHER_PEER], name))
        return PLUGIN_OTHER_PEER;
    struct peer *peer = &peers[peer_count];
    memset(peer->name, 0, sizeof(peer->name));
    memcpy(peer->name, name.bytes, kept_size(name));
    peer->number = kvtel_store_peer(plugin_records.store, peer->name);
    make_series(peer);
    make_exemplar(peer);
    atomic_store_explicit(&peer->use, UNUSED, memory_order_release);
    return (uint32_t)peer_count++;
}

static void remove_series(const struct peer *peer)
{
    for (int i = 0; i < PLUGIN_DIRECTIONS; i++) {
        for (int outcome = 0; outcome < KVTEL_NIXL_OUTCOMES; outcome++)
            (void)kvtel_store_series_remove(plugin_records.store, peer->series.transfers[i][outcome]);
        (void)kvtel_store_series_remove(plugin_records.store, peer->series.bytes[i]);
    }
}

static bool has_other_place(uint32_t peer, const struct place *but)
{
    for (size_t i = 0; i < PLACES; i++) {
        if (&places[i] != but && atomic_load(&places[i].hash) != 0 && atomic_load(&places[i].peer) == peer)
            return true;
    }
    return false;
}

/* The newest peer gives its place to the new name, if no other agent has it and no post was made with it. */
static void rename_peer(struct place *place, struct plugin_text name)
{
    const uint32_t present = atomic_load(&place->peer);
    struct peer *peer = &peers[present];
    int use = UNUSED;
    if (present != PLUGIN_OTHER_PEER && is_name(peer, name))
        return;
    if (present != PLUGIN_OTHER_PEER && present + 1 == peer_count && !has_other_place(present, place) &&
        atomic_compare_exchange_strong(&peer->use, &use, GIVEN_UP)) {
        remove_series(peer);
        peer_count--;
    }
    atomic_store(&place->peer, find_or_make(name));
}

/* `renames`: an agent that has a place gets the new name. */
static void make_place(struct plugin_text agent, struct plugin_text name, bool renames)
{
    const uint64_t hash = hash_of(agent);
    for (uint64_t i = 0; i < PLACES; i++) {
        struct place *place = &places[(hash + i) % PLACES];
        if (is_place(place, hash, agent)) {
            if (renames)
                rename_peer(place, name);
            return;
        }
        if (atomic_load_explicit(&place->hash, memory_order_relaxed) != 0)
            continue;
        atomic_store(&place->peer, find_or_make(name));
        place->size = (uint32_t)agent.size;
        memcpy(place->agent, agent.bytes, agent.size);
        atomic_store_explicit(&place->hash, hash, memory_order_release);
        return;
    }
}

static bool is_text(struct plugin_text text)
{
    return text.size > 0 && text.size <= PLUGIN_PEER_NAME && text.bytes;
}

static void make_alone(struct plugin_text agent, struct plugin_text name, bool renames)
{
    if (!is_text(agent) || !is_text(name))
        return;
    plugin_lock(&lock);
    make_place(agent, name, renames);
    plugin_unlock(&lock);
}

void plugin_peer_make(struct plugin_text agent)
{
    if (is_text(agent) && !find_place(agent))
        make_alone(agent, agent, false);
}

void plugin_peers_clear(void)
{
    for (size_t i = 0; i < PLACES; i++)
        atomic_store(&places[i].hash, 0);
    peer_count = 0;
}

uint32_t plugin_peer_number(uint32_t peer)
{
    return peers[peer].number;
}

static void add(struct kvtel_lane *lane, uint32_t slot, uint64_t amount)
{
    if (__builtin_expect(slot == NO_SLOT, 0))
        kvtel_store_count_dropped(lane->store, 1);
    else
        kvtel_lane_add(lane, slot, (double)(int64_t)amount);
}

void plugin_record_peer(uint32_t index, const struct plugin_ending *ending)
{
    const struct numbers *slots = &peers[index].slots;
    struct kvtel_lane *lane = kvtel_thread_lane_of(plugin_records.store);
    uint64_t token;
    if (!lane || !kvtel_lane_enter(lane, 1, &token))
        return;
    add(lane, slots->transfers[ending->direction][ending->outcome], 1);
    if (ending->outcome <= KVTEL_NIXL_IN_POST && ending->bytes < KVTEL_TRANSFER_LIMIT)
        add(lane, slots->bytes[ending->direction], ending->bytes);
    kvtel_lane_changed(lane);
    kvtel_thread_leave(token);
}

void plugin_peers_make_other(void)
{
    strcpy(peers[PLUGIN_OTHER_PEER].name, "other");
    peers[PLUGIN_OTHER_PEER].number = 0;
    make_series(&peers[PLUGIN_OTHER_PEER]);
    make_exemplar(&peers[PLUGIN_OTHER_PEER]);
}

const struct kvtel_exemplar *plugin_peer_exemplar(uint32_t peer)
{
    return peers[peer].exemplar.size > 0 ? &peers[peer].exemplar : NULL;
}

void kvtel_nixl_peer(const char *agent, const char *name)
{
    if (!agent || !name || !kvtel_nixl_is_recording())
        return;
    size_t size = strlen(name);
    make_alone((struct plugin_text){ agent, strlen(agent) },
               (struct plugin_text){ name, size < PLUGIN_PEER_NAME ? size : PLUGIN_PEER_NAME }, true);
}

int kvtel_nixl_is_recording(void)
{
    return plugin_is_on();
}
