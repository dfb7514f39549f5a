/** The same done with several rows: how far it is, what failed, and once more with that. */

import { faults, lookOver } from './looks'
import { expect, test } from './world'

test('what cannot be done with one of several is told, and done with the others', async ({ visit, world }) => {
  await world.kubectl('create', 'configmap', 'goes', '--from-literal=a=1')
  await world.kubectl('create', 'configmap', 'went', '--from-literal=a=1')
  const page = await visit('/r/configmaps?ns=default&q=we')
  await page.getByLabel('Filter ConfigMaps').fill('')
  await page.getByRole('checkbox', { name: 'Select default/goes' }).check()
  await page.getByRole('checkbox', { name: 'Select default/went' }).check()
  await page.getByRole('button', { name: '2 selected' }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  // Somebody else is faster with one of them.
  await page.route('**/configmaps/went', (route) =>
    route.request().method() === 'DELETE'
      ? route.fulfill({ status: 409, contentType: 'application/json', body: '{"reason":"Conflict","message":"is held"}' })
      : route.continue(),
  )
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  const run = page.getByRole('region', { name: 'Deleting 2 objects' })
  await expect(run).toContainText('1 of 2 failed.')
  await expect(run.getByRole('listitem')).toContainText('default/went')
  await expect(run.getByRole('listitem')).toContainText('is held')
  await expect.poll(() => world.kubectl('get', 'configmaps', '-o', 'name')).not.toContain('configmap/goes')
  expect(await lookOver(page, 'run-failed')).toEqual([])
  await run.getByRole('button', { name: 'Copy' }).click()
  await expect(page.getByText('Copied')).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('default/went: is held')
  // What failed is tried again, alone, once nothing is in the way.
  await page.unroute('**/configmaps/went')
  await page.getByRole('region', { name: 'Deleting 2 objects' }).getByRole('button', { name: 'Try again' }).click()
  await expect(page.getByText('2 deleted')).toBeVisible()
  await expect(page.getByRole('region', { name: /^Deleting/ })).toHaveCount(0)
  await expect.poll(() => world.kubectl('get', 'configmaps', '-o', 'name')).not.toContain('configmap/went')
})

test('how far something is with many is shown, and it can be stopped', async ({ visit, world }) => {
  const names = Array.from({ length: 12 }, (_, at) => `row-${at + 10}`)
  const maps = names.map((name) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } }))
  await world.apply({ apiVersion: 'v1', kind: 'List', items: maps })
  const page = await visit('/r/configmaps?ns=default&q=row-')
  await expect(page.getByText(/^12 of/)).toBeVisible()
  // The cluster takes its time with each.
  const held: (() => void)[] = []
  await page.route('**/configmaps/row-*', async (route) => {
    if (route.request().method() === 'DELETE') await new Promise<void>((resolve) => held.push(resolve))
    await route.continue()
  })
  await page.getByRole('checkbox', { name: 'Select all' }).check()
  await page.getByRole('button', { name: '12 selected' }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  const run = page.getByRole('region', { name: 'Deleting 12 objects' })
  await expect(run).toContainText('0 of 12')
  await expect.poll(() => held.length).toBe(6)
  held.splice(0, 2).forEach((go) => go())
  await expect(run).toContainText('2 of 12')
  await expect(run.getByRole('progressbar')).toHaveAttribute('value', '2')
  await page.screenshot({ path: '../target/ui/run-going.png' })
  expect(await faults(page)).toEqual([])
  await run.getByRole('button', { name: 'Stop' }).click()
  await expect.poll(() => held.length).toBe(6)
  held.splice(0).forEach((go) => go())
  await expect(run).toContainText('4 of 12 were not begun.')
  await page.unroute('**/configmaps/row-*')
  await run.getByRole('button', { name: 'Try again' }).click()
  await expect(page.getByText('12 deleted')).toBeVisible()
  await expect(page.getByText('Nothing matches the filter.')).toBeVisible()
})
