#!/usr/bin/env bash
# Makes the databases schema-<version>.sqlite that are not here yet, by the migrations of Sources/SQLiteJobs/Database/JobSchema.swift
# up to that version: Tests/JobsTests/SchemaFixture.swift says what is in them. Those that are here are left as they are,
# for they are what was released; a new migration brings a new file.
set -euo pipefail
cd "$(dirname "$0")/../../.."
MAKE_JOB_FIXTURES=1 swift test -c release -Xswiftc -enable-testing --scratch-path .build_test \
    --filter UpgradeTests.makeFixtures
