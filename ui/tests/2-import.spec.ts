import { expect, test } from './world'

test('a cluster is imported by the command that is shown, and its progress is live', async ({ admin: page, world }) => {
  await page.goto('/dashboard/clusters')
  await page.getByRole('link', { name: 'Import cluster' }).click()
  await page.getByLabel('Name', { exact: true }).fill('Real One')
  await page.getByRole('button', { name: 'Create' }).click()
  await expect(page.getByRole('alert')).toContainText('lower-case letters')
  await page.getByLabel('Name', { exact: true }).fill('real')
  await page.getByLabel('Labels').fill('stage=test')
  await page.getByRole('button', { name: 'Create' }).click()

  await expect(page.getByLabel('Command that shows what the agent found')).toContainText('kubectl')
  const command = page.getByLabel('Import command without certificate check')
  await expect(command).toContainText('kubectl apply')
  await world.shell((await command.textContent()) ?? '')
  await expect(page.getByText('The cluster is active.')).toBeVisible({ timeout: 60_000 })
  await page.getByRole('link', { name: 'Open' }).click()
  await expect(page).toHaveURL(/\/c\/c-[a-z0-9]+$/)
  world.cluster = page.url().split('/').at(-1) ?? ''
  await expect(page.getByText('3 nodes')).toBeVisible()
  await expect(page.getByRole('meter', { name: 'CPU requested' })).toBeAttached()

  await page.goto('/dashboard/clusters')
  const row = page.getByRole('row', { name: /real/ })
  await expect(row).toContainText('active')
  await expect(row).toContainText('v1.36.3')
})
