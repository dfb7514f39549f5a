import { expect, test } from './world'

test('a cluster is imported by the command that is shown, and its progress is live', async ({ admin: page, world }) => {
  await page.goto('/dashboard/clusters')
  // Who comes for the first time is told what to do.
  await expect(page.getByRole('link', { name: 'Import cluster' })).toBeVisible()
  await page.getByRole('link', { name: 'Import the first cluster' }).click()
  await page.getByLabel('Name', { exact: true }).fill('Real One')
  await page.getByRole('button', { name: 'Create' }).click()
  await expect(page.getByRole('alert')).toContainText('lower-case letters')
  await page.getByLabel('Name', { exact: true }).fill('real')
  await page.getByLabel('Labels').fill('stage=test')
  await page.getByRole('button', { name: 'Create' }).click()

  await expect(page.getByLabel('Command that shows what the agent found')).toContainText('kubectl')
  const command = page.getByLabel('Import command without certificate check')
  await expect(command).toContainText('kubectl apply')
  // What keeps an agent away is shown as soon as it tells, here by its own means.
  const tokens = await world.call(page.context().request, 'GET', '/v3/clusterregistrationtokens')
  const late = { step: 'clock', outcome: 'failed', mayHeal: true, reason: 'an hour behind', advice: 'set the clock' }
  const told = await page.context().request.post(`${world.place.url}/v3/connect/checks`, {
    headers: { 'X-API-Tunnel-Token': tokens.body.data[0].token, 'User-Agent': 'drover-ui-tests' },
    data: { ready: false, checks: [late] },
  })
  expect(told.status()).toBe(204)
  const checks = page.getByRole('region', { name: 'What the agent found' })
  await expect(checks.getByRole('listitem')).toContainText(['Clock'])
  await expect(checks).toContainText('set the clock')
  await world.shell((await command.textContent()) ?? '')
  await expect(page.getByText('The cluster is active.')).toBeVisible({ timeout: 60_000 })
  await expect(checks).toHaveCount(0)
  await page.getByRole('link', { name: 'Open' }).click()
  await expect(page).toHaveURL(/\/c\/c-[a-z0-9]+$/)
  world.cluster = page.url().split('/').at(-1) ?? ''
  await expect(page.getByText('3 nodes')).toBeVisible()
  await expect(page.getByRole('meter', { name: 'CPU requested' })).toBeAttached()

  await page.goto('/dashboard/clusters')
  const row = page.getByRole('row', { name: /real/ })
  await expect(row).toContainText('active')
  await expect(row).toContainText('v1.36.3')

  await row.getByRole('button', { name: /Actions/ }).click()
  await page.getByRole('menuitem', { name: 'Edit' }).click()
  const dialog = page.getByRole('dialog', { name: 'Edit cluster real' })
  await expect(dialog.getByLabel('Labels')).toHaveValue('stage=test')
  await dialog.getByLabel('Labels').fill('stage=test\nsea=north')
  await dialog.getByLabel('Description').fill('by the sea')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog).toBeHidden()
  const { body } = await world.call(page.context().request, 'GET', `/v3/clusters/${world.cluster}`)
  expect(body).toMatchObject({ description: 'by the sea', labels: { stage: 'test', sea: 'north' }, state: 'active' })
  // Which columns are shown is remembered.
  await page.getByRole('button', { name: 'Columns' }).click()
  await page.getByRole('menuitemcheckbox', { name: 'Description' }).click()
  await page.keyboard.press('Escape')
  await expect(row).toContainText('by the sea')
  await page.reload()
  await expect(row).toContainText('by the sea')
})
