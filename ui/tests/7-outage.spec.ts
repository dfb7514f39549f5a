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

test('a cluster that lost its agent shows it, and what is known stays', async ({ visit, world }) => {
  const page = await visit('')
  await expect(page.getByText('active').first()).toBeVisible()
  await world.tell('agents stop')
  await expect(page.getByText('unavailable', { exact: true })).toBeVisible({ timeout: 60_000 })
  await expect(page.getByText('3 nodes')).toBeVisible()
  await world.tell('agents start')
  await expect(page.getByText('active').first()).toBeVisible({ timeout: 60_000 })
})
