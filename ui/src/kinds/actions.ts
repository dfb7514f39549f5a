/** What can be done with objects, from lists and from their pages. */

import type { Router } from 'vue-router'

import { ask, attempt } from '@/app/notices'
import type { MenuItem } from '@/components/menu'
import { deleteObject, dependents, getObject, patchObject, type KubernetesObject } from '@/data/kubernetes/objects'
import type { ApiResource } from '@/data/kubernetes/resources'
import { paths } from '@/lib/paths'
import { t } from '@/texts'

import { ROLLING, SCALABLE } from './index'
import { restartPatch } from './workload'

export interface Target {
  cluster: string
  resource: ApiResource
  namespace: string
  name: string
}

/** Dependents are looked up for at most so many objects at once. */
const LOOKED_UP = 10

export function redeploy(targets: Target[]): Promise<boolean> {
  return attempt(async () => {
    for (const one of targets) await patchObject(one.cluster, one.resource, one.namespace, one.name, restartPatch(new Date()))
  }, t.actions.redeployed(targets.length))
}

export function setPaused(target: Target, paused: boolean): Promise<boolean> {
  const { cluster, resource, namespace, name } = target
  // Merge patches remove what is null: an absent field is the default.
  const patch = { spec: { paused: paused || null } }
  return attempt(
    () => patchObject(cluster, resource, namespace, name, patch),
    paused ? t.actions.paused(name) : t.actions.resumed(name),
  )
}

export function scale(target: Target, replicas: number): Promise<boolean> {
  const { cluster, resource, namespace, name } = target
  return attempt(
    () => patchObject(cluster, resource, namespace, name, { spec: { replicas } }, 'scale'),
    t.actions.scaled(name, replicas),
  )
}

/** Asks, naming what goes along, and deletes. */
export async function removeObjects(targets: Target[]): Promise<boolean> {
  const items = targets.map(label)
  const along = await Promise.all(targets.slice(0, LOOKED_UP).map(dependentsOf))
  const owned = along.flat().map((object) => t.actions.along(`${object.kind} ${place(object)}`))
  const yes = await ask({
    title: t.actions.deleteTitle(targets.length),
    text: owned.length > 0 ? t.actions.deleteAlong : t.actions.deleteAlone,
    items: [...items, ...owned],
    confirm: t.actions.delete,
    danger: true,
  })
  if (!yes) return false
  return attempt(async () => {
    for (const one of targets) await deleteObject(one.cluster, one.resource, one.namespace || undefined, one.name)
  }, t.actions.deleted(targets.length))
}

async function dependentsOf(target: Target): Promise<KubernetesObject[]> {
  try {
    const object = await getObject(target.cluster, target.resource, target.namespace || undefined, target.name)
    return await dependents(target.cluster, object)
  } catch {
    // The question is worth asking without them; the deletion itself will tell what is wrong.
    return []
  }
}

function label({ resource, namespace, name }: Target): string {
  return `${resource.kind} ${namespace === '' ? name : `${namespace}/${name}`}`
}

function place({ metadata }: KubernetesObject): string {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name
}

/** The menu of an object. `startScale` opens the question for a number. */
export function menuOf(target: Target, router: Router, startScale: (target: Target) => void): MenuItem[] {
  const { cluster, resource, namespace, name } = target
  const go = (tab: string) => (): void => void router.push(paths.object(cluster, resource.id, namespace, name, tab))
  const items: MenuItem[] = []
  if (resource.id === 'pods') items.push({ label: t.object.logs, run: go('logs') }, { label: t.object.shell, run: go('shell') })
  if (SCALABLE.has(resource.id)) items.push({ label: t.actions.scale, run: () => startScale(target) })
  if (ROLLING.has(resource.id)) items.push({ label: t.actions.redeploy, run: () => void redeploy([target]) })
  if (resource.id === 'deployments.apps') {
    items.push(
      { label: t.actions.pause, run: () => void setPaused(target, true) },
      { label: t.actions.resume, run: () => void setPaused(target, false) },
      { label: t.object.revisions, run: go('revisions') },
    )
  }
  items.push(
    { label: t.object.yaml, run: go('yaml'), line: items.length > 0 },
    {
      label: t.actions.clone,
      run: () =>
        void router.push({ path: `/c/${cluster}/create`, query: { from: `${resource.id}/${namespace || '_'}/${name}` } }),
    },
    { label: t.actions.delete, run: () => void removeObjects([target]), danger: true, line: true },
  )
  return items
}

/** The menu for several objects at once. */
export function bulkMenu(targets: Target[]): MenuItem[] {
  const items: MenuItem[] = []
  if (targets.every((target) => ROLLING.has(target.resource.id)))
    items.push({ label: t.actions.redeploy, run: () => void redeploy(targets) })
  items.push({ label: t.actions.delete, run: () => void removeObjects(targets), danger: true, line: items.length > 0 })
  return items
}
