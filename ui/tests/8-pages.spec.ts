/** Every page: without faults that axe finds, and as pictures in both themes and three widths (`target/ui/`). */

import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

import type { Page } from '@playwright/test'

import { excess, faults, THEMES, WIDTHS } from './looks'
import { expect, test } from './world'

/** Name, place (below the cluster when it begins with `c:`), and what must be there before a look. */
const PAGES: [string, string, string][] = [
  ['clusters', '/clusters', 'real'],
  ['import', '/clusters/import', 'Agent settings'],
  ['users', '/users', 'admin'],
  ['roles', '/roles', 'Cluster Owner'],
  ['access', '/access', 'Who can?'],
  ['keys', '/keys', 'This session'],
  ['audit', '/audit?until=2099-01-01T00:00', 'login'],
  ['settings', '/settings', 'agent-image'],
  ['features', '/features', 'Takes effect'],
  ['profile', '/profile', 'Roles you hold'],
  ['first-start', '/first-start', 'New password'],
  ['confirm-login', '/auth/login?cli=true&requestId=abcdfghjklmnpqrstvwxz12456789abc', 'Confirm'],
  ['join', 'c:/join', 'Progress'],
  ['overview', 'c:', 'Needs attention'],
  ['nodes', 'c:/nodes', 'node-1'],
  ['node', 'c:/r/nodes/_/node-1', 'Conditions'],
  ['node-pods', 'c:/r/nodes/_/node-1?tab=pods', 'Namespace'],
  ['projects', 'c:/projects', 'kube-system'],
  ['members', 'c:/members', 'Members'],
  ['workloads', 'c:/workloads', 'cattle-cluster-agent'],
  ['pods', 'c:/r/pods', 'gallery-'],
  ['events', 'c:/r/events', 'Pod'],
  ['secrets', 'c:/r/secrets', 'Opaque'],
  ['registry-credentials', 'c:/v/registry-credentials', 'Create Secret'],
  ['logs', 'c:/r/deployments.apps/default/gallery?tab=logs', 'first line'],
  ['pods-logs', 'c:/logs', 'Choose pods'],
  ['resources', 'c:/resources', 'ConfigMap'],
  ['deploy', 'c:/deploy', 'What will be created'],
  ['create', 'c:/create?kind=deployments.apps', 'my-deployment'],
  ['deployment', 'c:/r/deployments.apps/default/gallery', 'gallery'],
  ['deployment-pods', 'c:/r/deployments.apps/default/gallery?tab=pods', 'gallery-'],
  ['yaml', 'c:/r/deployments.apps/default/gallery?tab=yaml', 'apiVersion'],
  ['revisions', 'c:/r/deployments.apps/default/gallery?tab=revisions', 'current'],
  ['form-service', 'c:/new/services', 'Port of the pods'],
  ['form-ingress', 'c:/new/ingresses.networking.k8s.io', 'Ingress class'],
  ['form-config-map', 'c:/new/configmaps', 'What will be created'],
  ['form-secret', 'c:/new/secrets', 'Any keys and values'],
  ['form-claim', 'c:/new/persistentvolumeclaims', 'Storage class'],
  ['form-autoscaler', 'c:/new/horizontalpodautoscalers.autoscaling', 'CPU to aim for'],
  ['form-cron-job', 'c:/new/cronjobs.batch', 'Schedule'],
  ['config-map', 'c:/r/configmaps/default/kube-root-ca.crt', 'BEGIN CERTIFICATE'],
]

test.beforeAll(async ({ world }) => {
  await world.kubectl('create', 'deployment', 'gallery', '--image=registry.example/gallery:1', '--replicas=3')
  await world.kubectl('rollout', 'status', 'deployment/gallery', '--timeout=60s')
})

test('every page fits, and has no faults', async ({ admin, world }) => {
  test.setTimeout(900_000)
  const id = await world.imported(admin)
  for (const [name, place, text] of PAGES) {
    await test.step(name, async () => {
      await admin.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
      await admin.setViewportSize({ width: WIDTHS.desktop, height: 900 })
      await admin.goto(`/dashboard${place.startsWith('c:') ? `/c/${id}${place.slice(2)}` : place}`)
      await expect(admin.locator('#app')).toContainText(text)
      expect.soft(await faults(admin), name).toEqual([])
      for (const theme of THEMES) {
        await admin.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
        // Only colours differ between the themes.
        if (theme === 'dark') expect.soft(await faults(admin, ['color-contrast']), `${name} dark`).toEqual([])
        for (const [width, pixels] of Object.entries(WIDTHS)) {
          await admin.setViewportSize({ width: pixels, height: width === 'phone' ? 780 : 900 })
          await admin.screenshot({ path: `../target/ui/${name}-${width}-${theme}.png` })
          expect.soft(await excess(admin), `${name} scrolls sideways: ${width}`).toBe(0)
          // A page that came without its styles begins at the very edge.
          expect.soft((await admin.locator('h1').boundingBox())?.x, `${name} has a margin: ${width}`).toBeGreaterThanOrEqual(8)
        }
        await admin.setViewportSize({ width: WIDTHS.desktop, height: 900 })
      }
    })
  }
})

test('on a phone a list shows what tells most beside names of any length', async ({ visit }) => {
  const page = await visit('/r/pods')
  await page.setViewportSize({ width: WIDTHS.phone, height: 780 })
  for (const row of [/cattle-cluster-agent/, /gallery/])
    await expect(page.getByRole('row', { name: row }).first().getByText('Running')).toBeInViewport({ ratio: 1 })
  await page.screenshot({ path: '../target/ui/pods-phone.png' })
})

test('dialogs and the palette have no faults either', async ({ visit }) => {
  const page = await visit('/workloads')
  await page.keyboard.press('Control+k')
  await expect(page.getByRole('option').first()).toBeVisible()
  await page.screenshot({ path: '../target/ui/palette.png' })
  expect(await faults(page)).toEqual([])
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'All namespaces' }).click()
  await expect(page.getByPlaceholder('Find a namespace')).toBeVisible()
  await page.screenshot({ path: '../target/ui/namespaces.png' })
  expect(await faults(page)).toEqual([])
  await page.keyboard.press('Escape')
  await page
    .getByRole('row', { name: /gallery/ })
    .getByRole('button', { name: /Actions/ })
    .click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await expect(page.getByRole('dialog')).toContainText('ReplicaSet')
  await page.screenshot({ path: '../target/ui/delete.png' })
  expect(await faults(page)).toEqual([])
})

/** What is open on a page besides its first look: how one comes there, from a page of the cluster or of the hub. */
const STATES: [string, string, (page: Page) => Promise<void>][] = [
  [
    'menu-of-row',
    'c:/r/pods',
    (page) =>
      page
        .getByRole('button', { name: /^Actions for/ })
        .first()
        .click(),
  ],
  ['menu-of-person', 'c:/r/pods', (page) => page.getByTitle('Account', { exact: true }).click()],
  ['switch', 'c:/r/pods', (page) => page.getByTitle('Switch cluster').click()],
  ['chosen-rows', 'c:/r/pods', (page) => page.getByRole('row').nth(1).getByRole('checkbox').check()],
  ['shortcuts', 'c:/r/pods', (page) => page.keyboard.press('?')],
  ['nothing-found', 'c:/r/pods', (page) => page.getByPlaceholder('Filter').fill('zzzz')],
  ['empty', 'c:/r/cronjobs.batch', (page) => page.getByText('There are none').first().waitFor()],
  ['unknown-kind', 'c:/r/foos.example.com', (page) => page.getByRole('alert').waitFor()],
  ['missing', 'c:/r/configmaps/default/nothing', (page) => page.getByRole('alert').waitFor()],
  ['no-page', '/nowhere', (page) => page.getByText('There is no such page.').waitFor()],
  ['new-user', '/users', (page) => page.getByRole('button', { name: 'New user' }).click()],
  ['new-member', 'c:/members', (page) => page.getByRole('button', { name: 'Add member' }).click()],
  ['new-project', 'c:/projects', (page) => page.getByRole('button', { name: 'New project' }).click()],
  [
    'palette-empty',
    'c:/r/pods',
    async (page) => {
      await page.keyboard.press('Control+k')
      await page.keyboard.type('zzzzqq')
      await page.getByText('Nothing is called that.').waitFor()
    },
  ],
  [
    'refused',
    'c:/create',
    async (page) => {
      const text = 'apiVersion: v1\nkind: Service\nmetadata:\n  name: A_\nspec:\n  ports: [{ port: -1 }]\n'
      await page.getByRole('textbox', { name: 'YAML to create' }).fill(text)
      await page.getByRole('button', { name: 'Create', exact: true }).click()
      await page.getByRole('alert').waitFor()
    },
  ],
  [
    'review',
    'c:/r/configmaps/default/kube-root-ca.crt?tab=yaml',
    async (page) => {
      await page.getByRole('button', { name: 'Edit', exact: true }).click()
      const editor = page.getByRole('textbox', { name: 'YAML of kube-root-ca.crt' })
      await editor.fill((await editor.innerText()).replace('kind: ConfigMap', 'kind: ConfigMap\nimmutable: false'))
      expect(await faults(page)).toEqual([])
      await page.getByRole('button', { name: 'Review changes' }).click()
      await page.getByLabel('Changes').getByText('immutable').waitFor()
    },
  ],
]

for (const [name, place, open] of STATES) {
  test(`without faults and within a phone: ${name}`, async ({ admin, world }) => {
    const id = await world.imported(admin)
    for (const width of [WIDTHS.desktop, WIDTHS.phone]) {
      await admin.setViewportSize({ width, height: 780 })
      await admin.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
      await admin.goto(`/dashboard${place.startsWith('c:') ? `/c/${id}${place.slice(2)}` : place}`)
      await admin.locator('h1').waitFor()
      if (place === 'c:/r/pods') await admin.getByRole('row').nth(1).waitFor()
      await open(admin)
      expect(await excess(admin), `${width}`).toBe(0)
      for (const theme of THEMES) {
        await admin.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
        await admin.screenshot({ path: `../target/ui/state-${name}-${width}-${theme}.png` })
        expect(await faults(admin), `${width} ${theme}`).toEqual([])
      }
      // What is not saved is left by asking; that is not what is looked at here.
      admin.once('dialog', (dialog) => void dialog.accept())
    }
  })
}

test('a cluster is found by a part of its name, and gone to by the keyboard alone', async ({ visit, world }) => {
  const page = await visit('/r/pods')
  for (const name of ['aa-first', 'aa-second'])
    await world.call(page.context().request, 'POST', '/v3/clusters', { type: 'cluster', name })
  await page.getByTitle('Switch cluster').focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByRole('searchbox', { name: 'Find a cluster' })).toBeFocused()
  await page.keyboard.type('AA-')
  await expect(dialog.getByRole('listitem')).toHaveText([/aa-first/, /aa-second/])
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'aa-second' })).toBeVisible()
  await expect(dialog).toHaveCount(0)
})

test('the preview of a drain fits, and has no faults', async ({ visit }) => {
  const page = await visit('/nodes')
  await page
    .getByRole('row', { name: /node-1/ })
    .getByRole('button', { name: /Actions/ })
    .click()
  await page.getByRole('menuitem', { name: 'Drain' }).click()
  await expect(page.getByRole('dialog').getByText(/would leave/)).toBeVisible()
  for (const theme of THEMES) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
    expect(await faults(page)).toEqual([])
    for (const [width, pixels] of Object.entries(WIDTHS)) {
      await page.setViewportSize({ width: pixels, height: width === 'phone' ? 780 : 900 })
      await page.screenshot({ path: `../target/ui/drain-${width}-${theme}.png` })
      expect(await excess(page)).toBe(0)
    }
    await page.setViewportSize({ width: WIDTHS.desktop, height: 900 })
  }
})

test('the kubectl shell fits, and has no faults', async ({ visit }) => {
  const page = await visit('/nodes')
  await page.getByRole('button', { name: 'kubectl shell' }).click()
  const dock = page.getByRole('region', { name: 'kubectl shell in real' })
  await expect(dock.locator('.xterm-rows')).toContainText(/[$#>] *$/)
  for (const theme of THEMES) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
    expect(await faults(page)).toEqual([])
    for (const [width, pixels] of Object.entries(WIDTHS)) {
      await page.setViewportSize({ width: pixels, height: width === 'phone' ? 780 : 900 })
      await page.screenshot({ path: `../target/ui/kubectl-shell-${width}-${theme}.png` })
      expect(await excess(page)).toBe(0)
    }
    await page.setViewportSize({ width: WIDTHS.desktop, height: 900 })
  }
})

test('the quota of a project is set, shown and taken away', async ({ visit, world }) => {
  const page = await visit('/projects')
  const project = page.getByRole('listitem').filter({ hasText: 'Default' })
  const edit = async (): Promise<void> => {
    await project.getByRole('button', { name: 'Actions for Default' }).click()
    await page.getByRole('menuitem', { name: 'Edit quota' }).click()
  }
  await edit()
  const dialog = page.getByRole('dialog', { name: 'Quota of Default' })
  await dialog.getByLabel('Pods of the project').fill('lots')
  await dialog.getByLabel('Pods of each namespace').fill('5')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog.getByRole('alert')).toContainText('lots')
  await dialog.getByLabel('Pods of the project').fill('50')
  for (const theme of THEMES) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
    await page.screenshot({ path: `../target/ui/quota-${theme}.png` })
    expect(await faults(page)).toEqual([])
  }
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(project).toContainText(/Pods\s*\d+ of 50/)
  // The namespaces of the project take their part.
  await expect(project).toContainText(/5 of 50/)
  const id = await world.imported(page)
  const found = await world.call(page.context().request, 'GET', `/v3/projects?clusterId=${id}&name=Default`)
  expect(found.body.data[0].resourceQuota.limit.pods).toBe('50')
  for (const [width, pixels] of Object.entries(WIDTHS)) {
    await page.setViewportSize({ width: pixels, height: 900 })
    await page.screenshot({ path: `../target/ui/projects-quota-${width}.png` })
    expect(await excess(page)).toBe(0)
  }
  await page.setViewportSize({ width: WIDTHS.desktop, height: 900 })
  await edit()
  await dialog.getByLabel('Pods of the project').fill('')
  await dialog.getByLabel('Pods of each namespace').fill('')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(project).not.toContainText('of 50')
})

test('the sign-in page has no faults', async ({ page }) => {
  for (const theme of THEMES) {
    await page.emulateMedia({ colorScheme: theme })
    await page.goto('/dashboard/login')
    await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible()
    await page.screenshot({ path: `../target/ui/login-${theme}.png` })
    expect(await faults(page)).toEqual([])
  }
})

test('the first load is small, compressed, kept, and under a strict policy', async ({ admin, world }) => {
  const sizes: number[] = []
  admin.on('response', async (response) => {
    if (response.url().includes('/dashboard/')) sizes.push((await response.request().sizes()).responseBodySize)
  })
  const answer = await admin.goto('/dashboard/clusters')
  await expect(admin.getByRole('link', { name: 'real' })).toBeVisible()
  await admin.waitForLoadState('networkidle')
  const loaded = sizes.reduce((sum, size) => sum + size, 0)
  expect(loaded).toBeGreaterThan(20_000)
  expect(loaded).toBeLessThan(300_000)
  const policy = (await answer?.allHeaders())?.['content-security-policy'] ?? ''
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toContain('unsafe')
  const script = await admin.locator('script[src]').first().getAttribute('src')
  const file = await admin.context().request.get(world.place.url + script, { headers: { 'Accept-Encoding': 'gzip, br' } })
  expect(file.headers()['cache-control']).toContain('immutable')
  expect(file.headers()['content-encoding']).toBe('gzip')
})

test('what is loaded at first is less than the budget on disk too', () => {
  const app = new URL('../dist/app/', import.meta.url)
  const manifest = JSON.parse(readFileSync(new URL('manifest.json', app), 'utf8')) as Record<
    string,
    { file: string; css?: string[]; imports?: string[]; isEntry?: boolean }
  >
  const seen = new Set<string>()
  const visitChunk = (key: string): void => {
    const chunk = manifest[key]
    if (!chunk || seen.has(chunk.file)) return
    for (const file of [chunk.file, ...(chunk.css ?? [])]) seen.add(file)
    for (const one of chunk.imports ?? []) visitChunk(one)
  }
  const first = ['src/pages/ClustersPage.vue', ...Object.keys(manifest).filter((key) => manifest[key]?.isEntry)]
  for (const key of first) visitChunk(key)
  const size = (file: string): number => gzipSync(readFileSync(new URL(file, app)), { level: 9 }).length
  expect(seen.size).toBeGreaterThan(2)
  expect([...seen].reduce((sum, file) => sum + size(file), 0)).toBeLessThan(300_000)
  expect([...seen].some((file) => /codemirror|PodShell|ClusterShell|TerminalView/.test(file))).toBe(false)
})
