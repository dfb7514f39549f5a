import { defineConfig } from '@playwright/test'

import tests from './playwright.config'

/** Figures, on demand: `npm run bench`. */
export default defineConfig(tests, { testDir: 'bench', testMatch: '*.bench.ts' })
