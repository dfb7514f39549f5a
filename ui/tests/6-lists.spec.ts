import { expect, test } from './world'

test.beforeAll(async ({ world }) => {
  const maps = Array.from(
    { length: 600 },
    (_, number) => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"many-${number}","namespace":"many"}}`,
  )
  await world.kubectl('create', 'namespace', 'many')
  await world.shell(`echo '{"apiVersion":"v1","kind":"List","items":[${maps.join(',')}]}' | kubectl create -f - >/dev/null`)
})

test('a long list is filtered and ordered, and draws only what is seen', async ({ visit }) => {
  const page = await visit('/r/configmaps?ns=many')
  await expect(page.getByText('601', { exact: true })).toBeVisible()
  expect(await page.getByRole('row').count()).toBeLessThan(80)
  await expect(page.getByRole('row').nth(3)).toContainText('many-1')
  await page.getByRole('button', { name: 'Name', exact: true }).click()
  await expect(page).toHaveURL(/sort=-name/)
  await expect(page.getByRole('row').nth(1)).toContainText('many-599')
  await page.getByLabel('Filter ConfigMaps').fill('many-59')
  await expect(page.getByText('11 of 601')).toBeVisible()
})

test('rows stay under the pointer while others come and go', async ({ visit, world }) => {
  const page = await visit('/r/configmaps?ns=many&q=many-1')
  await page.getByRole('link', { name: 'many-10', exact: true }).hover()
  await world.kubectl('delete', 'configmap', 'many-1', '-n', 'many')
  await world.kubectl('create', 'configmap', 'many-00-many-1', '-n', 'many')
  await expect(page.getByText('1 new')).toBeVisible()
  await expect(page.getByRole('row').nth(1)).toContainText('many-1')
  await expect(page.getByRole('row').nth(2)).toContainText('many-10')
  await page.getByRole('heading', { name: 'ConfigMaps' }).hover()
  await expect(page.getByRole('row').nth(1)).toContainText('many-00-many-1')
  await expect(page.getByRole('link', { name: 'many-1', exact: true })).toHaveCount(0)
})

test('several objects are deleted together', async ({ visit, world }) => {
  const page = await visit('/r/configmaps?ns=many&q=many-30')
  await page.getByRole('checkbox', { name: 'Select many/many-300' }).check()
  await page.getByRole('checkbox', { name: 'Select many/many-301' }).check()
  await page.getByRole('button', { name: '2 selected' }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(page.getByText('2 deleted')).toBeVisible()
  await expect(page.getByText(/^9 of/)).toBeVisible()
  expect(await world.kubectl('get', 'configmaps', '-n', 'many', '-o', 'name')).not.toContain('many-300')
})

test('a custom resource is found, listed and opened like any other', async ({ visit, world }) => {
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'lamps.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { kind: 'Lamp', plural: 'lamps' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec: { type: 'object', properties: { watts: { type: 'integer' } } } },
            },
          },
          additionalPrinterColumns: [{ name: 'Watts', type: 'integer', jsonPath: '.spec.watts' }],
        },
      ],
    },
  }
  await world.shell(
    `echo '${JSON.stringify(crd)}' | kubectl apply -f - && kubectl wait --for=condition=Established crd/lamps.example.com --timeout=30s`,
  )
  await world.shell(
    `echo '{"apiVersion":"example.com/v1","kind":"Lamp","metadata":{"name":"desk","namespace":"default"},"spec":{"watts":7}}' | kubectl apply -f -`,
  )
  const page = await visit('/resources?q=lamp')
  await page.getByRole('link', { name: 'Lamp' }).click()
  await expect(page.getByRole('row', { name: /desk/ })).toContainText('7')
  await page.getByRole('link', { name: 'desk' }).click()
  await page.getByRole('tab', { name: 'YAML' }).click()
  await expect(page.getByLabel('YAML of desk')).toContainText('watts: 7')

  // Every object of a kind goes with its definition.
  await page.getByRole('link', { name: 'Custom resource definitions' }).click()
  await page.getByRole('button', { name: 'Actions for lamps.example.com' }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await expect(page.getByRole('dialog')).toContainText('Lamp: 1')
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(page.getByRole('button', { name: 'Actions for lamps.example.com' })).toHaveCount(0)
})

test('the keyboard is enough', async ({ visit }) => {
  const page = await visit('')
  await expect(page.getByText('3 nodes')).toBeVisible()
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible()
  await page.keyboard.press('Escape')
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill('configm')
  await expect(page.getByRole('option').first()).toContainText('ConfigMaps')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'ConfigMaps' })).toBeVisible()
  await page.keyboard.press('f')
  await expect(page.getByLabel('Filter ConfigMaps')).toBeFocused()
  await page.getByLabel('Filter ConfigMaps').fill('kube-root')
  await expect(page.getByRole('link', { name: 'kube-root-ca.crt' }).first()).toBeVisible()
  await expect(page.getByText(/^\d+ of \d+$/)).toBeVisible()
  await page.keyboard.press('ArrowDown')
  await expect(page.getByRole('link', { name: 'kube-root-ca.crt' }).first()).toBeFocused()
  await page.keyboard.press('ArrowDown')
  await expect(page.getByRole('link', { name: 'kube-root-ca.crt' }).nth(1)).toBeFocused()
  // Rows are marked by a key, also several in a row; by the mouse with the shift key.
  await page.keyboard.press('x')
  await expect(page.getByRole('button', { name: '1 selected' })).toBeVisible()
  await page.keyboard.press('Shift+ArrowDown')
  await expect(page.getByRole('button', { name: '2 selected' })).toBeVisible()
  await page.keyboard.press('x')
  await expect(page.getByRole('button', { name: '1 selected' })).toBeVisible()
  await page.keyboard.press('Home')
  await expect(page.getByRole('link', { name: 'kube-root-ca.crt' }).first()).toBeFocused()
  await page.getByRole('button', { name: 'Clear selection' }).click()
  const box = (row: number): ReturnType<typeof page.getByRole> => page.getByRole('row').nth(row).getByRole('checkbox')
  await box(1).click()
  await box(4).click({ modifiers: ['Shift'] })
  for (const row of [1, 2, 3, 4]) await expect(box(row)).toBeChecked()
  await expect(page.getByRole('button', { name: '4 selected' })).toBeVisible()
  await page.getByRole('heading', { name: 'ConfigMaps' }).click()
  await page.keyboard.press('n')
  await expect(page.getByPlaceholder('Find a namespace')).toBeFocused()
  await page.keyboard.press('Escape')
  await page.keyboard.press('/')
  await expect(page.getByRole('combobox')).toBeFocused()
  await page.keyboard.press('Escape')
  await page.keyboard.press('g')
  await page.keyboard.press('n')
  await expect(page.getByRole('heading', { name: 'Nodes' })).toBeVisible()
})

test('a list without rows says why, and leads out of it', async ({ visit }) => {
  const page = await visit('/r/ingresses.networking.k8s.io?ns=kube-public&q=nothing')
  await expect(page.getByText('Nothing matches the filter.')).toBeVisible()
  await page.getByRole('button', { name: 'Clear the filter' }).click()
  await expect(page.getByText('There are none in the chosen namespaces.')).toBeVisible()
  await page.getByRole('button', { name: 'Show all namespaces' }).click()
  await expect(page.getByRole('button', { name: 'All namespaces', exact: true })).toBeVisible()
  await expect(page).not.toHaveURL(/ns=/)
})

test('a page that comes late leaves the focus where somebody went on to', async ({ visit, admin }) => {
  // Otherwise pages are loaded before somebody goes there.
  await admin.addInitScript(() => Object.defineProperty(navigator, 'connection', { value: { saveData: true } }))
  const page = await visit('')
  await expect(page.getByText('3 nodes')).toBeVisible()
  const release: (() => void)[] = []
  await page.route('**/assets/ProjectsPage-*.js', async (route) => {
    await new Promise<void>((resolve) => release.push(resolve))
    await route.fallback()
  })
  await page.getByRole('link', { name: 'Projects & namespaces' }).click()
  await expect.poll(() => release.length).toBe(1)
  await page.getByRole('button', { name: 'All namespaces' }).click()
  const find = page.getByPlaceholder('Find a namespace')
  await expect(find).toBeFocused()
  release.forEach((go) => go())
  await expect(page.getByRole('heading', { name: 'Projects & namespaces' })).toBeVisible()
  await expect(find).toBeFocused()
})

test('the keyboard keeps its place when rows change below it', async ({ visit, world }) => {
  await world.kubectl('create', 'namespace', 'keys')
  for (const name of ['alpha', 'beta', 'gamma']) await world.kubectl('create', 'configmap', name, '-n', 'keys')
  const page = await visit('/r/configmaps?ns=keys')
  await expect(page.getByRole('link', { name: 'alpha' })).toBeVisible()
  // To the rows before the answer to the filter is there.
  const release: (() => void)[] = []
  await page.route(/\/v1\/configmaps\?.*gamma/, async (route) => {
    await new Promise<void>((resolve) => release.push(resolve))
    await route.continue()
  })
  await page.getByLabel('Filter ConfigMaps').fill('gamma')
  await expect.poll(() => release.length).toBeGreaterThan(0)
  await page.keyboard.press('ArrowDown')
  await expect(page.getByRole('link', { name: 'alpha' })).toBeFocused()
  release.forEach((go) => go())
  await expect(page.getByRole('link', { name: 'gamma' })).toBeFocused()
  await page.unroute(/\/v1\/configmaps\?.*gamma/)

  // A row that goes leaves the focus to the one that comes in its place.
  await page.getByLabel('Filter ConfigMaps').fill('')
  await expect(page.getByRole('link', { name: 'alpha' })).toBeVisible()
  await page.getByRole('link', { name: 'beta' }).focus()
  await world.kubectl('delete', 'configmap', 'beta', '-n', 'keys')
  await expect(page.getByRole('link', { name: 'gamma' })).toBeFocused()

  // None is left: back to the filter.
  await page.getByLabel('Filter ConfigMaps').fill('gamma')
  await expect(page.getByRole('link', { name: 'alpha' })).toHaveCount(0)
  await page.getByRole('link', { name: 'gamma' }).focus()
  await world.kubectl('delete', 'configmap', 'gamma', '-n', 'keys')
  await expect(page.getByLabel('Filter ConfigMaps')).toBeFocused()
})
