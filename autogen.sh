#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes ./configure. Needs autoconf, automake, pkg-config; not needed in a release tarball.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --force --warnings=all
