import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'

/** Where the server looks for the built UI (`crates/ui/build.rs`). */
const OUT = 'dist/app'

/** Files smaller than this are sent as they are. */
const WORTH_COMPRESSING = 512

/** Writes `.br` and `.gz` beside each file once, so that the server never compresses. */
function precompress(): Plugin {
  const compress = (folder: string): void => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name)
      if (statSync(path).isDirectory()) {
        compress(path)
        continue
      }
      // The page carries a nonce of each answer; it is not worth compressing anyway.
      if (!/\.(js|css|svg|json)$/.test(name)) continue
      const bytes = readFileSync(path)
      if (bytes.length < WORTH_COMPRESSING) continue
      writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
      writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
    }
  }
  return { name: 'precompress', apply: 'build', closeBundle: () => compress(OUT) }
}

/** The folder is emptied here, since its parent holds a committed file. */
function clean(): Plugin {
  return { name: 'clean', apply: 'build', buildStart: () => rmSync(OUT, { recursive: true, force: true }) }
}

const server = process.env.DROVER_URL ?? 'https://127.0.0.1:8443'
const proxied = ['/v3', '/v3-public', '/v1', '/k8s', '/rancherversion']

export default defineConfig({
  base: '/dashboard/',
  plugins: [clean(), vue(), precompress()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  html: { cspNonce: '__DROVER_NONCE__' },
  build: {
    outDir: OUT,
    emptyOutDir: false,
    target: 'es2022',
    manifest: 'manifest.json',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 800,
  },
  server: {
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: server, secure: false, ws: true }])),
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0])
