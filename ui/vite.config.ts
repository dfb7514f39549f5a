import { rmSync } from 'node:fs'

import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'

/** Where the server looks for the built UI (`crates/ui/build.rs`). */
const OUT = 'dist/app'

/** The folder is emptied here, since its parent holds a committed file. */
function clean(): Plugin {
  return { name: 'clean', apply: 'build', buildStart: () => rmSync(OUT, { recursive: true, force: true }) }
}

const server = process.env.DROVER_URL ?? 'https://127.0.0.1:8443'
const proxied = ['/v3', '/v3-public', '/v1', '/k8s', '/rancherversion']

export default defineConfig({
  base: '/dashboard/',
  plugins: [clean(), vue()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  html: { cspNonce: '__DROVER_NONCE__' },
  build: {
    outDir: OUT,
    emptyOutDir: false,
    target: 'es2022',
    manifest: 'manifest.json',
    assetsInlineLimit: 0,
    // One file for all: small, and no part that is asked for again after an outage comes without its styles.
    cssCodeSplit: false,
    chunkSizeWarningLimit: 800,
  },
  server: {
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: server, secure: false, ws: true }])),
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0])
