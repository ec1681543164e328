/* SPDX-License-Identifier: Apache-2.0 */
/* What kvtel doctor can find: name, state, what the finding means, and what to do next. docs/doctor.md and the table of
 * symptoms in docs/serve.md name these. */
#ifndef KVTEL_DOCTOR_KINDS_H
#define KVTEL_DOCTOR_KINDS_H

enum doctor_state { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_PROBLEM, DOCTOR_STATES };

#define DOCTOR_KIND_LIST(X)                                                                                            \
    /* the directory of stores */                                                                                      \
    X(DIRECTORY, "directory", OK, "Engines and the exporter of this user find each other here.", "")                   \
    X(DIRECTORY_MISSING, "directory-missing", NOTE, "No engine and no exporter has used this directory yet.",          \
      "Start 'kvtel serve' or an engine with kvtel, with the same KVTEL_STORE_DIR.")                                   \
    X(DIRECTORY_UNUSABLE, "directory-unusable", PROBLEM, "Neither engines nor the exporter can use this path.",        \
      "Remove what is there, or give all of them another KVTEL_STORE_DIR.")                                            \
    X(DIRECTORY_NOT_PRIVATE, "directory-not-private", PROBLEM,                                                         \
      "Engines and the exporter refuse a default directory that others own or may write to, so nothing is exported.",  \
      "Remove it as its owner or as root, or set KVTEL_STORE_DIR for engines and exporter.")                           \
    X(DIRECTORY_UNREADABLE, "directory-unreadable", PROBLEM, "An exporter that runs as this user sees no store.",      \
      "Run as the user of the engines.")                                                                               \
    X(DIRECTORY_READ_ONLY, "directory-read-only", PROBLEM,                                                             \
      "An exporter that runs as this user removes no ended store, and keeps no totals.",                               \
      "Run as the directory's owner, or let this user write into the directory.")                                      \
    X(DIRECTORY_NO_LOCKS, "directory-no-locks", PROBLEM,                                                               \
      "The file system has no locks, which engines and the exporter need.",                                            \
      "Put KVTEL_STORE_DIR on a file system in memory, such as /dev/shm.")                                             \
    X(DIRECTORY_NOT_IN_MEMORY, "directory-not-in-memory", NOTE,                                                        \
      "The directory is on a disk, where a write that waits for the disk delays the engine.",                          \
      "Put KVTEL_STORE_DIR on a file system in memory, such as /dev/shm.")                                             \
    X(DIRECTORY_STICKY, "directory-sticky", PROBLEM,                                                                   \
      "The exporter counts this store, but the sticky bit keeps it from removing the file, whose memory stays in "     \
      "use.",                                                                                                          \
      "Run the exporter as the user of the engines, or take the sticky bit from the directory.")                       \
    X(DIRECTORY_REPLACED, "directory-replaced", PROBLEM,                                                               \
      "Somebody removed or replaced the directory that the exporter uses.",                                            \
      "Wait three seconds for the exporter to use the new one; find the cleaner that removed it.")                     \
    X(DIRECTORY_EMPTIED, "directory-emptied-at-logout", NOTE,                                                          \
      "systemd removes the files of this user from shared memory when the user's last session ends (RemoveIPC=), "     \
      "totals too.",                                                                                                   \
      "Run engines and exporter as a system user, 'loginctl enable-linger', or put KVTEL_STORE_DIR elsewhere.")        \
    X(DIRECTORY_OF_OTHERS, "directory-of-others", NOTE, "Engines recorded there, not here.",                           \
      "Run as its owner, or give it by --store.dir.")                                                                  \
    X(ROOM, "room", OK, "New stores have room.", "")                                                                   \
    X(ROOM_SHORT, "room-short", PROBLEM,                                                                               \
      "The file system is nearly full: engines get no room for stores, and totals cannot be written.",                 \
      "Remove files there, or make the file system larger (mount -o remount,size=, docker --shm-size, sizeLimit).")    \
    X(IN_USE, "in-use", OK, "An exporter reads this directory; a second one would be refused.", "")                    \
    X(NOT_IN_USE, "not-in-use", NOTE,                                                                                  \
      "No exporter keeps this directory, so Prometheus sees none of its numbers; one that may only read it takes no "  \
      "lock and is not seen here.",                                                                                    \
      "Start 'kvtel serve'.")                                                                                          \
    /* stores */                                                                                                       \
    X(STORES, "stores", OK, "These processes record.", "")                                                             \
    X(NO_STORE, "no-store", NOTE, "Nothing records into this directory now, so there are no metrics of connectors.",   \
      "Start the engine with kvtel's plugin or NIXL's plug-in and the same KVTEL_STORE_DIR.")                          \
    X(STORE_REFUSED, "store-refused", PROBLEM, "The numbers of this store are left out.",                              \
      "Use the same version of kvtel in engines and exporter, and remove a file that is no store.")                    \
    X(STORE_LINK, "store-link", PROBLEM, "A store counts once, and by its own name: this name is left out.",           \
      "Remove the link.")                                                                                              \
    X(STORE_UNREAD, "store-unread", PROBLEM,                                                                           \
      "Stores cannot be read now, for want of descriptors, memory or permission.",                                     \
      "Run as the user of the engines, and raise the limits (LimitNOFILE=) of the exporter.")                          \
    X(STORES_LEFT_OUT, "stores-left-out", NOTE,                                                                        \
      "The directory has more files of stores than kvtel doctor looks at; it says nothing about these.",               \
      "Start 'kvtel serve', which adds ended stores to the totals and removes their files.")                           \
    X(STORE_DAMAGED, "store-damaged", NOTE,                                                                            \
      "The exporter set this store aside, because it could not read all of it; what it could read is in the totals.",  \
      "Look at it with 'kvtel dump' if you want to, then remove it.")                                                  \
    X(STORE_UNCLOSED, "store-unclosed", NOTE, "This writer was killed or crashed; what it recorded counts.",           \
      "Look at the engine's log, and at the kernel's (out of memory?).")                                               \
    X(STORE_ENDED, "store-ended", NOTE, "Their writers have ended, and no exporter has added them to the totals yet.", \
      "Start 'kvtel serve'; while it runs, this takes it a second.")                                                   \
    X(STORE_HELD, "store-held", PROBLEM,                                                                               \
      "The totals have another definition of one of its metrics, so the store stays a file.",                          \
      "Stop the exporter, drop the old metric ('kvtel totals --drop NAME'), and start it again.")                      \
    X(STORE_DELETED, "store-deleted", PROBLEM,                                                                         \
      "A cleaner or a logout removed the file of a store whose writer runs: its numbers are lost if the exporter "     \
      "restarts.",                                                                                                     \
      "Find what removes files there, and restart the engine.")                                                        \
    X(STORE_ELSEWHERE, "store-elsewhere", PROBLEM,                                                                     \
      "This process records into another directory than the one "                                                      \
      "looked at, which no exporter has locked; an exporter that may only read takes no lock.",                        \
      "Give exporter and engine the same KVTEL_STORE_DIR, in containers also the same mount.")                         \
    X(STORE_DROPS, "store-drops", NOTE, "The writer left out what it could not record.",                               \
      "See docs/serve.md, own metrics: too many label sets or threads, or values that no measurement can have.")       \
    X(TOTALS, "totals", OK, "These numbers of ended stores are kept.", "")                                             \
    X(TOTALS_DAMAGED, "totals-damaged", PROBLEM,                                                                       \
      "The totals of ended stores were damaged and set aside, so counters fell.",                                      \
      "See docs/totals.md, a damaged file; remove the file that was set aside when it is not needed.")                 \
    X(TOTALS_BY_RANK, "totals-by-rank", NOTE,                                                                          \
      "The totals keep ranks apart: an exporter without --store.rank-label refuses to start here.",                    \
      "Give --store.rank-label at each start, or move the file of totals away.")                                       \
    X(TOTALS_UNWRITTEN, "totals-unwritten", PROBLEM,                                                                   \
      "The exporter could not write the totals; nothing is lost, but ended stores stay.",                              \
      "Make room in the directory, and let the exporter write there.")                                                 \
    /* NIXL */                                                                                                         \
    X(RINGS, "rings", OK, "NIXL's agents write their telemetry into these rings.", "")                                 \
    X(RING_DIRECTORY_MISSING, "ring-directory-missing", PROBLEM,                                                       \
      "An engine with NIXL's telemetry does not start without this directory.",                                        \
      "Start 'kvtel serve --nixl.telemetry-dir=DIR' first, or 'mkdir -m 0700 DIR'.")                                   \
    X(RING_UNUSABLE, "ring-unusable", PROBLEM, "The events of this ring are not counted.",                             \
      "See docs/nixl-rings.md, states of a ring.")                                                                     \
    X(RING_FULL, "ring-full", PROBLEM, "Nobody reads this ring, and its agent drops events.",                          \
      "Start 'kvtel serve --nixl.telemetry-dir=DIR' as the user of the engine.")                                       \
    X(RING_CONTENDED, "ring-contended", PROBLEM,                                                                       \
      "Another program reads the same ring, and each event goes to one of the two.",                                   \
      "End the other reader, such as NIXL's own telemetry reader.")                                                    \
    X(NIXL, "nixl", OK, "This NIXL finds kvtel's plug-in.", "")                                                        \
    X(NIXL_WITHOUT_PLUGIN, "nixl-without-plugin", NOTE,                                                                \
      "This NIXL does not find kvtel's plug-in, so peers and outcomes of its transfers are not shown.",                \
      "Run 'kvtel nixl install', or use the rings.")                                                                   \
    X(NIXL_LINK_BROKEN, "nixl-link-broken", PROBLEM, "The plug-in's file is gone, and NIXL cannot load it.",           \
      "Run 'kvtel nixl install' again.")                                                                               \
    /* processes */                                                                                                    \
    X(PROCESS, "process", OK, "This process has loaded kvtel.", "")                                                    \
    X(PROCESS_WITHOUT_KVTEL, "process-without-kvtel", NOTE,                                                            \
      "This process uses NIXL or vLLM, and has not loaded "                                                            \
      "kvtel.",                                                                                                        \
      "Install kvtel's package in its environment, or start it with NIXL's plug-in or rings.")                         \
    X(PROCESS_NOT_LOADED, "process-not-loaded", PROBLEM,                                                               \
      "This process was started to load kvtel's plug-in into NIXL, and has not loaded it.",                            \
      "Run 'kvtel nixl status' for its Python environment; its log says why NIXL did not load the plug-in.")           \
    X(PLUGIN_LEFT_OUT, "plugin-left-out", PROBLEM,                                                                     \
      "VLLM_PLUGINS lists the plugins that vLLM loads, and kvtel is not among them.", "Add kvtel to VLLM_PLUGINS.")    \
    X(RUST_FRONTEND, "rust-frontend", NOTE,                                                                            \
      "vLLM's Rust frontend loads no stat-logger plugin; kvtel records in the engine core instead.",                   \
      "Do not set KVTEL_AT=frontend for it.")                                                                          \
    X(MULTIPROCESS, "multiprocess", NOTE,                                                                              \
      "PROMETHEUS_MULTIPROC_DIR makes prometheus_client add up processes by files; kvtel does not need it.", "")       \
    X(PROCESSES_HIDDEN, "processes-hidden", NOTE, "What they have loaded cannot be seen by this user.",                \
      "Run as the user of the engines, or as root, to see them.")                                                      \
    /* the exporter */                                                                                                 \
    X(EXPORTER, "exporter", OK, "The exporter answers.", "")                                                           \
    X(EXPORTER_ELSEWHERE, "exporter-elsewhere", NOTE,                                                                  \
      "An exporter runs, and reads another directory than the one looked at.",                                         \
      "Give its directory by --store.dir, if its engines are meant.")                                                  \
    X(EXPORTER_ABSENT, "exporter-absent", NOTE, "No exporter answers at the usual address.",                           \
      "Start 'kvtel serve', or give its address by --url.")                                                            \
    X(EXPORTER_UNREACHABLE, "exporter-unreachable", PROBLEM, "Prometheus cannot get an answer there either.",          \
      "Start 'kvtel serve' with this --web.listen-address, and look at firewall, name and certificates.")              \
    X(EXPORTER_UNKNOWN, "exporter-unknown", NOTE, "The exporter cannot be asked without libcurl.",                     \
      "Install libcurl (Debian: libcurl3-gnutls).")                                                                    \
    X(EXPORTER_REFUSES, "exporter-refuses", PROBLEM,                                                                   \
      "The web configuration has users, and this user was not given or is not known.",                                 \
      "Give --url.user and --url.password-file; Prometheus needs the same by basic_auth.")                             \
    X(EXPORTER_MISCONFIGURED, "exporter-misconfigured", PROBLEM,                                                       \
      "The exporter answers 500: its web configuration was changed and is invalid, or memory is short.",               \
      "Its log states the place; it uses a repaired file at once.")                                                    \
    X(EXPORTER_BUSY, "exporter-busy", PROBLEM,                                                                         \
      "Requests are answered 503 or 429: too many (--web.max-requests, rate_limit), or answers that nobody reads.",    \
      "Let fewer clients scrape, or raise --web.max-requests.")                                                        \
    X(EXPORTER_STUCK, "exporter-stuck", PROBLEM,                                                                       \
      "The exporter's main loop hangs, for example in a directory on a dead network file system.",                     \
      "Look at its log and at the file systems of its directories, then restart it.")                                  \
    X(EXPORTER_OTHER, "exporter-other", PROBLEM, "Something else than kvtel serve answers at this address.",           \
      "Give the exporter's address by --url.")                                                                         \
    X(EXPORTER_VERSION, "exporter-version", NOTE, "The exporter and this program are of different versions.",          \
      "Use the same version of both, and in engines.")                                                                 \
    X(OWN_METRICS_OFF, "own-metrics-off", NOTE,                                                                        \
      "--web.disable-exporter-metrics hides what the exporter knows of "                                               \
      "itself.",                                                                                                       \
      "Start it without the flag to see more here.")                                                                   \
    X(SCRAPED, "scraped", OK, "Prometheus, or something like it, reads the exporter.", "")                             \
    X(NOT_SCRAPED, "not-scraped", PROBLEM,                                                                             \
      "Nothing reads the exporter, so no dashboard and no alert has its numbers.",                                     \
      "Add its address to Prometheus' scrape configuration (deploy/prometheus.yml), or push (--otlp.endpoint).")       \
    X(NOT_SCRAPED_YET, "not-scraped-yet", NOTE, "The exporter was started a moment ago, and nothing has read it yet.", \
      "Ask again in two minutes.")                                                                                     \
    X(PUSH_FAILS, "push-fails", PROBLEM, "The exporter could not push to its OTLP endpoint.",                          \
      "Its log states why; see docs/otlp.md.")                                                                         \
    X(SCRAPES_FAIL, "scrapes-fail", PROBLEM, "The exporter could not answer some scrapes.",                            \
      "Its log states why: memory, descriptors or the disk.")                                                          \
    X(NOBODY_RECORDS, "nobody-records", NOTE,                                                                          \
      "The exporter works, but no store is live, no ring is read, and nothing was posted for a minute.",               \
      "See the findings about directory, stores and processes.")                                                       \
    X(SHORTAGE, "shortage", PROBLEM,                                                                                   \
      "The exporter is short of descriptors or memory: numbers of some stores are missing or old.",                    \
      "Raise LimitNOFILE= and the memory of the exporter.")                                                            \
    X(LOG_DROPPED, "log-dropped", PROBLEM, "Lines of the exporter's log are lost.",                                    \
      "Read its standard error, or make room on the disk of its log.")                                                 \
    X(POSTS_REJECTED, "posts-rejected", NOTE, "Recordings that programs posted were refused.",                         \
      "The answer to each post states why; 403 and 415 want 'Content-Type: application/jsonl' or --web.allowed-host.") \
    X(PROBES_REFUSED, "probes-refused", NOTE,                                                                          \
      "/-/healthy wants a password, which kubelet's probes do not send: a pod would restart for ever.",                \
      "Give --web.open-probes.")                                                                                       \
    X(PREFIX_CHANGED, "prefix-changed", NOTE,                                                                          \
      "The metrics have another prefix than vllm:, so rules for vllm: never "                                          \
      "fire.",                                                                                                         \
      "Use the rules of that prefix (deploy/rules-kv.yml for kv_).")                                                   \
    X(COUNTED_TWICE, "counted-twice", NOTE,                                                                            \
      "vLLM and the exporter show the same names: a Prometheus that scrapes both counts each transfer twice.",         \
      "Start the exporter with --metrics.prefix=kv_ if one Prometheus scrapes both.")                                  \
    /* the machine */                                                                                                  \
    X(DESCRIPTORS, "descriptors", OK, "The exporter may keep each store open.", "")                                    \
    X(DESCRIPTORS_FEW, "descriptors-few", PROBLEM,                                                                     \
      "The exporter may open fewer files than there are stores and rings, so it opens them anew for each scrape.",     \
      "Raise LimitNOFILE=, or 'ulimit -n' of its shell.")                                                              \
    X(CLOCK_SKEW, "clock-skew", PROBLEM, "The clocks of this machine and of the exporter's differ.",                   \
      "Synchronise both (chrony, systemd-timesyncd): ages and times of exemplars are wrong until then.")

enum doctor_kind {
#define X(name, text, state, means, next) DOCTOR_##name,
    DOCTOR_KIND_LIST(X)
#undef X
        DOCTOR_KINDS
};
struct doctor_kind_text {
    const char *name;
    enum doctor_state state;
    const char *means, *next; /* a sentence each; next "": nothing is to be done */
};
extern const struct doctor_kind_text doctor_kinds[DOCTOR_KINDS];
/* "ok", "note", "problem". */
const char *doctor_state_text(enum doctor_state state);

#endif
