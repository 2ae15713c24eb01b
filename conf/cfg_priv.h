/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_priv.h - the option table that the files of cfg share, and the two steps of reading a file.
 *
 * Process: the master.  Owner: constant data, and the caller's raw values.  Concurrency: one
 * thread.
 */
#ifndef LIB_CFG_PRIV_H
#define LIB_CFG_PRIV_H

#include "lib/buf.h"
#include "conf/cfg.h"

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

/* A name that an option had; now_name is NULL where it means nothing here. */
struct cfg_former {
    const char *section, *name, *now_section, *now_name;
};

/* All of them, from cfg_former.def. */
extern const struct cfg_former cfg_formers[];
extern const size_t cfg_n_formers;

/* What the sources say of one option, references and all. */
struct cfg_raw {
    char *text;       /* NULL: nowhere set */
    const char *file; /* where: one of cfg->files */
    unsigned line;    /* 0: it is an option of the command line */
    unsigned rank;    /* of the source, from 1: a later one wins */
    bool former;      /* by a former name */
};

/* What one cfg_load works on. */
struct cfg_loading {
    struct config *cfg;
    struct cfg_raw *raw; /* one per option */
    void (*notice)(const char *text);
    struct errbuf *err;
    const char *reading; /* the file that is being read: one of cfg->files */
    unsigned rank;       /* of it */
    struct buf former;   /* notices about former names, one a line */
    struct buf unknown;  /* errors or notices about unknown names, one a line */
    size_t n_unknown;
};

/*
 * Reads l->reading into l->raw (one per option, zeroed by the caller) and cfg->properties.
 * Returns: 0, or -1 with a text. raw's texts are the caller's in any case.
 */
int cfg_file_read(struct cfg_loading *l) MUST_CHECK;

/*
 * Checks bytes, sections and names, and brings each line to the form that libini_config takes.
 * Unknown sections and options are noted in l->unknown and left out.
 * Source of the format: oslo_config/iniparser.py.
 * Takes: the bytes of l->reading; an empty buffer for the same number of lines.
 * Returns: 0, or -1 with a text.
 */
int cfg_lines_clean(struct cfg_loading *l, struct slice text, struct buf *out) MUST_CHECK;

/* Sets the text of option i, a copy, as found in l->reading. Returns: 0, or -1 with a text. */
int cfg_set_raw(struct cfg_loading *l, size_t i, const char *text, unsigned line,
                bool former) MUST_CHECK;

/* Returns: the first line of the table with that name, or NULL. */
const struct cfg_former *cfg_find_former(const char *section, const char *name);

/*
 * Turns the raw texts of the options begin <= i < end into values in l->cfg, references expanded.
 * Returns: 0, or -1 with a text.
 */
int cfg_resolve(const struct cfg_loading *l, size_t begin, size_t end) MUST_CHECK;

/* Does what the former name means, and notes it in l->former. Returns: 0, or -1 with a text. */
int cfg_take_former(struct cfg_loading *l, const char *section, const char *name, const char *text,
                    unsigned line) MUST_CHECK;

/* Returns: true if there are options, or were, in a section of that name. */
bool cfg_is_section(const char *name);

/* Hands each line of a text to l->notice. */
void cfg_tell_lines(const struct cfg_loading *l, const struct buf *lines);

/*
 * Checks what no single option can tell, fills in the defaults that follow from others (instance,
 * log_file, the dead letters' file) and the drivers, and gives the notices.
 * Returns: 0, or -1 with a text.
 */
int cfg_check(const struct cfg_loading *l) MUST_CHECK;

/* The part of it that is about [statsd]. */
int cfg_check_statsd(const struct cfg_loading *l) MUST_CHECK;

/* The part of it that is about [cassandra]. */
int cfg_check_cassandra(const struct cfg_loading *l) MUST_CHECK;

/* The part of it that is about hosts; takes brackets off. */
int cfg_check_hosts(const struct cfg_loading *l) MUST_CHECK;

/*
 * Returns: false if the value of option i may have a password in it (a URL, USER:PASSWORD@HOST, a
 * reference to another option): then no error may quote it.
 */
bool cfg_may_quote(const struct cfg_loading *l, size_t i);

/* Says what is wrong with option i, in the form "FILE:LINE: [section] option: what". Returns -1. */
int cfg_fail_option(const struct cfg_loading *l, size_t i, const char *what);

/* Replaces *field by a copy. Returns: 0, or -1 with a text. */
int cfg_set_string(const struct cfg_loading *l, char **field, const char *text) MUST_CHECK;

/* Returns: the option's number, or -1. */
int cfg_find_option(const char *section, const char *name);

/* Returns: NAME, if that is [kafka] librdkafka.NAME, else NULL; part of the argument. */
const char *cfg_property_name(const char *section, const char *name);

/* Returns: the default as text; for the topics' sections it may differ from the table's. Static. */
const char *cfg_option_default(const struct cfg_option *option);

/* Returns: true for "password"-like names of librdkafka properties. */
bool cfg_is_secret_property(const char *name);

#endif
