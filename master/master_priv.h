/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master_priv.h - included last by every file of the master except main.c: refuses the libraries
 * whose handles and threads do not survive a fork.  tests/check_master_objects proves the
 * same on the objects.
 *
 * Process: master.  Owner: none.  Concurrency: none.
 */
#ifndef MASTER_MASTER_PRIV_H
#define MASTER_MASTER_PRIV_H

#if defined(_RDKAFKA_H_) || defined(CURLINC_CURL_H) || defined(LIBPQ_FE_H)
#error "the master holds no Kafka, curl or libpq handle"
#endif

#endif
