import { defineConfig } from 'vitest/config'

const embedded = {
  globalSetup: ['test/support/global-setup.ts'],
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // Two cores: PostgreSQL, the emulator and the service already compete inside one test file.
  maxWorkers: 1,
  fileParallelism: false,
}

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { test: { name: 'postgres', include: ['test/postgres/**/*.test.ts'], ...embedded } },
      { test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], ...embedded } },
    ],
  },
})
