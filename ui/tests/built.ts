/** The pages as `npm run build` made them last, in place of those inside the server: nothing in Rust is built for a change of the UI. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import type { BrowserContext } from '@playwright/test'

const APP = fileURLToPath(new URL('../dist/app/', import.meta.url))
const TYPES: Record<string, string> = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', json: 'application/json' }

/** Answers what is asked below `/dashboard/` from the folder; the headers of pages, and their nonces, stay the server's. */
export async function serveBuilt(context: BrowserContext): Promise<void> {
  await context.route('**/dashboard/**', async (route) => {
    const { origin, pathname } = new URL(route.request().url())
    const path = pathname.replace('/dashboard/', '')
    const type = TYPES[path.split('.').at(-1) ?? '']
    if (type && path.startsWith('assets/')) {
      // A server that is away has no files either.
      const isThere = await context.request.get(`${origin}/ping`).catch(() => undefined)
      return isThere ? route.fulfill({ contentType: type, body: readFileSync(APP + path) }) : route.abort()
    }
    // What lies beside the pages is the same in both.
    if (route.request().resourceType() !== 'document') return route.continue()
    const response = await route.fetch().catch(() => undefined)
    if (!response) return route.abort()
    const nonce = /'nonce-([^']+)'/.exec(response.headers()['content-security-policy'] ?? '')?.[1]
    if (nonce === undefined) return route.fulfill({ response })
    const page = readFileSync(`${APP}index.html`, 'utf8').replaceAll('__DROVER_NONCE__', nonce)
    return route.fulfill({ response, body: page })
  })
}
