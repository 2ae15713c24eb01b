/*
 * cfg_priv.h - the option table that cfg.c, cfg_file.c and cfg_out.c share.
 *
 * Process: the master.  Owner: constant data, and the caller's raw values.  Concurrency: one
 * thread.
 */
#ifndef LIB_CFG_PRIV_H
#define LIB_CFG_PRIV_H

#include "lib/cfg.h"

enum cfg_type { CFG_TYPE_string, CFG_TYPE_int, CFG_TYPE_bool };

/* One line of the table, with the section it is in and where its value lies in struct config. */
struct cfg_option {
    const char *section, *name;
    enum cfg_type type;
    int64_t min, max;
    const char *text; /* the default */
    int flags;
    const char *help;
    size_t offset;
};

/* All options, sections together, in the order of the .def files. */
extern const struct cfg_option cfg_options[];
extern const size_t cfg_n_options;

/* What the file says of one option. */
struct cfg_raw {
    char *text; /* NULL: not in the file */
    unsigned line;
};

/*
 * Reads the file into raw (one per option, zeroed by the caller) and cfg->properties.
 * Returns: 0, or -1 with a text. raw's texts are the caller's in any case.
 */
int cfg_file_read(struct config *cfg, struct cfg_raw *raw, struct errbuf *err) MUST_CHECK;

/* Returns: the option's number, or -1. */
int cfg_find_option(const char *section, const char *name);

/* Returns: the default as text; for the topics' sections it may differ from the table's. Static. */
const char *cfg_option_default(const struct cfg_option *option);

/* Returns: true for "password"-like names of librdkafka properties. */
bool cfg_is_secret_property(const char *name);

#endif
