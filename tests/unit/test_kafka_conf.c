/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_kafka_conf.c - what follows from Kafka's properties.
 *
 * Process: the unit tests.  Owner: each test; files are in memory (memfd).  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "tests/unit/cfg_fixture.h"
#include "kafka/kafka_conf.h"

TestSuite(kafka_conf, .init = cfg_set_up, .fini = cfg_tear_down);

static void
expect_rejoin(int64_t ms, const char *text)
{
    struct config *cfg = cfg_load_good(text);
    cr_expect_eq(kafka_conf_rejoin_ms(cfg), ms, "%lld: %s", (long long)kafka_conf_rejoin_ms(cfg),
                 text);
    cfg_free(&cfg);
}

Test(kafka_conf, a_successor_joins_a_heartbeat_before_the_session_ends)
{
    expect_rejoin(8000 - 2000, GOOD);
    expect_rejoin(30000 - 2000, GOOD "[kafka]\nlibrdkafka.session.timeout.ms = 30000\n");
    expect_rejoin(45000 - 3000, GOOD "[kafka]\nlibrdkafka.session.timeout.ms = 45000\n"
                                     "librdkafka.heartbeat.interval.ms = 3000\n");
    expect_rejoin(0, GOOD "[kafka]\nlibrdkafka.session.timeout.ms = 1000\n");
}

Test(kafka_conf, scram_that_cannot_work_is_said_so)
{
    cr_expect_str_eq(kafka_conf_hint(NULL, 0x020002ff), "");
    cr_expect_str_eq(kafka_conf_hint("PLAIN", 0x020002ff), "");
    cr_expect_str_eq(kafka_conf_hint("SCRAM-SHA-256", 0x020601ff), "");
    cr_expect_str_eq(kafka_conf_hint("SCRAM-SHA-512", 0x02100000), "");
    cr_expect(strstr(kafka_conf_hint("SCRAM-SHA-512", 0x020600ff), "2.6.1") != NULL);
    cr_expect(strstr(kafka_conf_hint("scram-sha-256", 0x020002ff), "2.6.1") != NULL);
}
