import { expect, test } from './world'

test('a lost server shows, and all is live again once it is back', async ({ visit, world }) => {
  const page = await visit('/r/configmaps?ns=default')
  await expect(page.getByRole('link', { name: 'kube-root-ca.crt' })).toBeVisible()
  await world.tell('hub stop')
  await expect(page.getByText('Connection to the server lost.')).toBeVisible()
  await expect(page.getByRole('link', { name: 'kube-root-ca.crt' })).toBeVisible()
  await world.kubectl('create', 'configmap', 'made-in-the-dark')
  // Trying too early costs nothing.
  await page.getByRole('button', { name: 'Try now' }).click()
  await world.tell('hub start')
  await expect(page.getByText('Connection to the server lost.')).toBeHidden({ timeout: 60_000 })
  await expect(page.getByRole('link', { name: 'made-in-the-dark' })).toBeVisible({ timeout: 60_000 })
  await world.kubectl('create', 'configmap', 'made-in-the-light')
  await expect(page.getByRole('link', { name: 'made-in-the-light' })).toBeVisible()
})

test('what was not loaded yet when the server went comes once it is back', async ({ visit, world, admin }) => {
  // Otherwise pages are loaded before somebody goes there.
  await admin.addInitScript(() => Object.defineProperty(navigator, 'connection', { value: { saveData: true } }))
  const page = await visit('/r/configmaps/default/kube-root-ca.crt')
  await expect(page.getByRole('tab', { name: 'YAML' })).toBeVisible()
  await world.tell('hub stop')
  await expect(page.getByText('Connection to the server lost.')).toBeVisible()
  await page.getByRole('link', { name: 'Projects & namespaces' }).click()
  await expect(page.getByText('so that this page cannot be opened')).toBeVisible()
  await expect(page.getByRole('heading', { name: 'kube-root-ca.crt' })).toBeVisible()
  await page.getByRole('tab', { name: 'YAML' }).click()
  await expect(page.getByText('Loading …')).toBeVisible()
  await world.tell('hub start')
  await expect(page.getByRole('button', { name: 'Edit', exact: true })).toBeVisible({ timeout: 60_000 })
  await page.getByRole('link', { name: 'Projects & namespaces' }).click()
  await expect(page.getByRole('heading', { name: 'Projects & namespaces' })).toBeVisible()
})

test('pages are there before somebody goes to them', async ({ visit }) => {
  const loads = (page: string): boolean => page.includes('/assets/AuditPage-')
  const page = await visit('/r/configmaps')
  await expect(page.getByRole('link', { name: 'kube-root-ca.crt' }).first()).toBeVisible()
  await expect
    .poll(async () => (await page.evaluate(() => performance.getEntriesByType('resource').map((one) => one.name))).some(loads))
    .toBe(true)
})

test('a cluster that lost its agent shows it, on every page, and what is known stays', async ({ visit, world }) => {
  const page = await visit('')
  await expect(page.getByText('active').first()).toBeVisible()
  await world.tell('agents stop')
  await expect(page.getByText('unavailable', { exact: true })).toBeVisible({ timeout: 60_000 })
  await expect(page.getByText('3 nodes')).toBeVisible()
  await page.getByRole('link', { name: 'ConfigMaps' }).click()
  const away = page.getByText('real cannot be reached: its agent')
  await expect(away).toBeVisible()
  // Who comes now is told too, and since when, instead of waiting for something that does not come.
  for (const place of ['/r/configmaps', '/workloads', '/projects', '/resources', '/r/configmaps/default/kube-root-ca.crt']) {
    await page.goto(`/dashboard/c/${world.cluster}${place}`)
    await expect(page.getByText(/^real cannot be reached since 20.* What belongs here comes as soon as it is\.$/)).toBeVisible()
    await expect(page.getByText('Loading …')).toHaveCount(0)
    await expect(page.getByText('There are none')).toHaveCount(0)
  }
  await world.tell('agents start')
  await expect(page.getByRole('tab', { name: 'YAML' })).toBeVisible({ timeout: 60_000 })
  await page.getByRole('link', { name: 'Overview' }).first().click()
  await expect(page.getByText('active').first()).toBeVisible({ timeout: 60_000 })
  await expect(away).toHaveCount(0)
})

test('a shell that was cut says so, and keeps what stood in it', async ({ visit, world }) => {
  const page = await visit('/r/pods?ns=cattle-system')
  await page
    .getByRole('link', { name: /cattle-cluster-agent/ })
    .first()
    .click()
  await page.getByRole('tab', { name: 'Shell' }).click()
  const rows = page.locator('.xterm-rows')
  await expect(rows).toContainText(/[$#>] *$/)
  await page.keyboard.type('echo stood-$((40+2))\n')
  await expect(rows).toContainText('stood-42')
  await world.tell('agents stop')
  await expect(page.getByText('The shell has ended: the connection was lost.')).toBeVisible({ timeout: 60_000 })
  await expect(rows).toContainText('stood-42')
  // It is told why there is none, too.
  await page.getByRole('button', { name: 'Open again' }).click()
  await expect(page.getByText('The shell has ended: The cluster cannot be reached')).toBeVisible()
  await world.tell('agents start')
  await expect(page.getByText('real cannot be reached')).toHaveCount(0, { timeout: 60_000 })
  await page.getByRole('button', { name: 'Open again' }).click()
  await expect(rows).toContainText(/stood-42[^]*[$#>] *$/)
})
