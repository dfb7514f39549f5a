/** How pages look: faults that axe finds, pictures in both themes and three widths (`target/ui/`). */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import type { Page } from '@playwright/test'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The phone is among the narrowest that are sold. */
export const WIDTHS = { desktop: 1440, tablet: 820, phone: 360 }
export const THEMES = ['light', 'dark'] as const

/** What axe finds; only some of its rules when they are named. */
export async function faults(page: Page, rules: string[] = []): Promise<string[]> {
  await page.evaluate(axe)
  return page.evaluate(async (only) => {
    const options = { resultTypes: ['violations' as const], ...(only.length > 0 ? { runOnly: only } : {}) }
    const { violations } = await (window as unknown as { axe: typeof import('axe-core') }).axe.run(document, options)
    // What floats over the page is reached from its button, and is in no part of the page. (axe shortens names.)
    const isFloating = (html: string): boolean => html.includes('data-reka-popper-con')
    return violations.flatMap((one) =>
      one.nodes
        .filter((node) => one.id !== 'region' || !isFloating(node.html))
        .map((node) => `${one.id}: ${node.html.slice(0, 200)} ${node.failureSummary ?? ''}`),
    )
  }, rules)
}

/** How many pixels a page is wider than its window. */
export function excess(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

/** What is wrong with a page as it is, in each theme and width; a picture of each is kept. */
export async function lookOver(page: Page, name: string): Promise<string[]> {
  const found: string[] = []
  const before = page.viewportSize() ?? { width: 1280, height: 800 }
  for (const theme of THEMES) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
    found.push(...(await faults(page)).map((one) => `${theme} ${one}`))
    for (const [width, pixels] of Object.entries(WIDTHS)) {
      await page.setViewportSize({ width: pixels, height: width === 'phone' ? 780 : 900 })
      await page.screenshot({ path: `../target/ui/${name}-${width}-${theme}.png` })
      if ((await excess(page)) > 0) found.push(`scrolls sideways: ${width}`)
    }
    await page.setViewportSize(before)
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
  return found
}
