/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_out.c - the configuration as text: the effective values, and the sample file.
 *
 * Process: the master.  Owner: nothing.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <stdio.h>

static const char *
skip_words(const char *text, int columns)
{
    const char *cut = NULL;
    for (int i = 0; text[i] != '\0' && i <= columns; i++) {
        if (text[i] == ' ')
            cut = text + i;
        if (text[i + 1] == '\0')
            return text + i + 1;
    }
    return cut != NULL ? cut : text + strlen(text);
}

static void
print_help(FILE *out, const char *help)
{
    while (*help != '\0') {
        const char *end = skip_words(help, 96);
        fprintf(out, "# %.*s\n", (int)(end - help), help);
        help = end + (*end == ' ');
    }
}

bool
cfg_is_secret_property(const char *name)
{
    static const char *const parts[] = {"password", "passphrase",  "secret",
                                        "key.pem",  "private.key", "sasl.oauthbearer.config"};
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (strstr(name, parts[i]) != NULL)
            return true;
    return false;
}

/* Blanks at the ends, and a pair of quotes, survive reading only within quotes. */
static bool
needs_quotes(const char *text)
{
    size_t n = strlen(text);
    if (n == 0)
        return false;
    char first = text[0], last = text[n - 1];
    return first == ' ' || first == '\t' || last == ' ' || last == '\t' ||
           (n > 1 && first == last && (first == '"' || first == '\''));
}

/* Writes a text so that it means itself when it is read again. */
static void
print_text(FILE *out, const char *text, bool references)
{
    const char *quote = needs_quotes(text) ? "\"" : "";
    char before = '\0';
    fputs(quote, out);
    for (; *text != '\0'; before = *text++) {
        if (references && *text == '$')
            fputc(before == '\\' ? '\\' : '$', out);
        fputc(*text, out);
    }
    fputs(quote, out);
}

/* With the blank in front of it, if there is a value. */
static void
print_value(FILE *out, const struct config *cfg, const struct cfg_option *o)
{
    const void *field = (const char *)cfg + o->offset;
    const char *text = o->type == CFG_TYPE_string ? *(const cfg_string *)field : NULL;
    if (o->type == CFG_TYPE_bool)
        fputs(*(const cfg_bool *)field ? " True" : " False", out);
    else if (o->type == CFG_TYPE_int)
        fprintf(out, " %lld", (long long)*(const cfg_int *)field);
    else if (text[0] != '\0' && (o->flags & CFG_SECRET))
        fputs(" ****", out);
    else if (text[0] != '\0') {
        fputc(' ', out);
        print_text(out, text, true);
    }
}

static void
dump_properties(const struct config *cfg, FILE *out)
{
    for (size_t i = 0; i < cfg->n_properties; i++) {
        const struct cfg_property *p = &cfg->properties[i];
        fprintf(out, "librdkafka.%s = ", p->name);
        print_text(out, cfg_is_secret_property(p->name) ? "****" : p->value, false);
        fputc('\n', out);
    }
}

void
cfg_dump(const struct config *cfg, FILE *out)
{
    const char *section = "";
    for (size_t i = 0; i < cfg_n_options; i++) {
        const struct cfg_option *o = &cfg_options[i];
        if (o->flags & CFG_IGNORED)
            continue;
        if (strcmp(section, o->section) != 0) {
            fprintf(out, "%s[%s]\n", section[0] == '\0' ? "" : "\n", o->section);
            section = o->section;
            if (strcmp(section, "kafka") == 0)
                dump_properties(cfg, out);
        }
        fprintf(out, "%s =", o->name);
        print_value(out, cfg, o);
        fputc('\n', out);
    }
}

/* The one option that must be set is, so that the sample is a configuration that starts. */
static void
print_sample_value(FILE *out, const struct cfg_option *o)
{
    const char *text = cfg_option_default(o);
    if (strcmp(o->section, "influxdb") == 0 && strcmp(o->name, "ip_address") == 0)
        fprintf(out, "%s = 127.0.0.1\n", o->name);
    else
        fprintf(out, "#%s =%s%s\n", o->name, text[0] != '\0' ? " " : "", text);
}

void
cfg_sample(FILE *out)
{
    const char *section = "";
    fputs("# Configuration of monasca-persister. Every option is shown with its default.\n"
          "# A file of the Python persister is read as it is.\n"
          "# $name and $section.name refer to another option, $$ is a dollar; a value goes on in "
          "the\n"
          "# next line if that is indented.\n",
          out);
    for (size_t i = 0; i < cfg_n_options; i++) {
        const struct cfg_option *o = &cfg_options[i];
        if ((o->flags & CFG_IGNORED) || strcmp(o->section, "kafka_events") == 0)
            continue;
        if (strcmp(section, o->section) != 0) {
            fprintf(out, "\n[%s]\n", o->section);
            section = o->section;
            if (strcmp(section, "kafka") == 0)
                fputs("\n# A property of librdkafka, passed through; several may be set.\n"
                      "#librdkafka.security.protocol = ssl\n",
                      out);
        }
        fputc('\n', out);
        print_help(out, o->help);
        if (o->type == CFG_TYPE_int)
            fprintf(out, "# From %lld to %lld.\n", (long long)o->min, (long long)o->max);
        print_sample_value(out, o);
    }
}
