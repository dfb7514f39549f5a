/** The longest task of what people do in a large cluster, one line each. */

import { expect, type Browser, type Page } from '@playwright/test'

import { longestTask } from './tasks'

type Tell = (name: string, value: number, unit: string, target?: number) => void

export async function interactions(browser: Browser, page: Page, base: string, tell: Tell): Promise<void> {
  const measured = async (name: string, act: () => Promise<unknown>): Promise<void> => {
    const { clock, processor } = await longestTask(browser, page, act)
    tell(`longest task: ${name}`, clock, 'ms', 50)
    tell(`longest task: ${name}, processor`, processor, 'ms', 50)
  }
  const row = page.locator('tr[data-index] a').first()
  const nav = (end: string): Promise<void> =>
    page.evaluate((end) => document.querySelector<HTMLElement>(`nav a[href$="${end}"]`)?.click(), end)
  const filter = page.locator('input[data-filter]')

  await page.goto(`${base}/r/pods`)
  await row.waitFor()
  await measured('typing into the filter of a list', async () => {
    await filter.pressSequentially('app-77-', { delay: 60 })
    await expect(row).toHaveText(/^app-77-/)
  })
  for (const [name, end, there] of [
    ['nodes', '/nodes', 'node-1'],
    ['workloads', '/workloads', 'Kind'],
    ['projects and namespaces', '/projects', 'team-1'],
    ['members', '/members', 'Project team-'],
    ['events', '/r/events', 'Reason'],
    ['pods', '/r/pods', 'app-'],
  ] as const)
    await measured(`opening ${name}`, async () => {
      await nav(end)
      await page.getByText(there).first().waitFor()
    })
  await measured('opening the command palette', async () => {
    await page.keyboard.press('Control+k')
    await page.locator('.palette li').first().waitFor()
  })
  await measured('typing into the command palette', async () => {
    await page.keyboard.type('app-77', { delay: 60 })
    await page.locator('.palette li', { hasText: 'app-77' }).first().waitFor()
  })
  await page.keyboard.press('Escape')
  await measured('opening the namespace filter', async () => {
    await page.locator('[data-scope]').click()
    await page.locator('.choices label').first().waitFor()
  })
  await measured('typing into the namespace filter', () => page.keyboard.type('space-29', { delay: 60 }))
  await measured('choosing a namespace', async () => {
    await page.locator('.choices label').first().click()
    await expect(page).toHaveURL(/ns=space-29/)
  })
  await page.goto(`${base}/members`)
  await page.getByText('Project team-').first().waitFor()
  await measured('filtering members of 2,000 projects', () => filter.pressSequentially('team-77', { delay: 60 }))

  for (const [name, what] of [
    ['labelled', 'an object of 200 labels'],
    ['many-keys', 'a megabyte of 14,000 keys'],
    ['long-texts', 'a megabyte of long texts'],
  ] as const) {
    await page.goto(`${base}/r/configmaps`)
    await row.waitFor()
    await filter.fill(name)
    const link = page.getByRole('link', { name, exact: true })
    await link.waitFor()
    await measured(`opening ${what}`, async () => {
      await link.click()
      await page.locator('.facts').waitFor()
    })
    if (name === 'labelled') continue
    await measured(`its YAML, ${what}`, async () => {
      await page.getByRole('tab', { name: 'YAML' }).click()
      await page.locator('.cm-line').first().waitFor()
    })
    const checked = page.waitForResponse((answer) => answer.url().includes('/schemaDefinitions/')).catch(() => undefined)
    await measured(`editing it, ${what}`, async () => {
      await page.getByRole('button', { name: 'Edit', exact: true }).click()
      await checked
      const last = page.locator('.cm-line', { hasText: /^ {2}(key-number-\d+: a value|file-\d+: \|)|^ {4}line/ }).first()
      await last.click()
      await page.keyboard.press('End')
      await page.keyboard.type(' x y', { delay: 100 })
    })
    await measured(`comparing before it is saved, ${what}`, async () => {
      await page.getByRole('button', { name: 'Review changes' }).click()
      await page.locator('.diff .cm-line').first().waitFor()
    })
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Discard' }).click()
  }

  await page.goto(`${base}/members`)
  await page.getByRole('button', { name: 'Add member' }).waitFor()
  await measured('asking for a new member', async () => {
    await page.getByRole('button', { name: 'Add member' }).click()
    await page.getByRole('dialog').waitFor()
  })
}
