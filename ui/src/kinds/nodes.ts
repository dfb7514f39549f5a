/** What can be done with nodes: from their list and from a node's own page. */

import { getCurrentScope, shallowRef, type ComputedRef, type ShallowRef } from 'vue'

import { act, type ManagedNode } from '@/api/norman'
import { runEach } from '@/app/runs'
import type { MenuItem } from '@/components/menu'
import { useCollection } from '@/data/norman/live'
import { t } from '@/texts'

export interface NodeActions {
  /** The menu of a node. */
  actions: (name: string) => MenuItem[]
  /** The menu of several. */
  bulk: (names: string[]) => MenuItem[]
  /** Nodes somebody is asked about before they are drained. */
  draining: ShallowRef<ManagedNode[]>
}

export function useNodeActions(cluster: () => string): NodeActions {
  const draining = shallowRef<ManagedNode[]>([])
  const scope = getCurrentScope()
  let items: ComputedRef<ManagedNode[]> | undefined
  /** Pages of other objects use this too; only those of nodes need them. */
  const all = (): ManagedNode[] => {
    items ??= scope?.run(() => useCollection<ManagedNode>('node').items)
    return items?.value ?? []
  }
  const managed = (names: string[]): ManagedNode[] =>
    all().filter((node) => node.clusterId === cluster() && names.includes(node.nodeName ?? ''))
  /** Those of the nodes that the person may do this to, at the moment. */
  const able = (names: string[], action: string): ManagedNode[] => managed(names).filter((node) => node.actions?.[action])

  function item(action: 'cordon' | 'uncordon', names: string[]): MenuItem {
    const nodes = able(names, action)
    const done = { cordon: t.nodes.cordoned, uncordon: t.nodes.uncordoned }[action](nodes.map((node) => node.nodeName).join(', '))
    return {
      label: { cordon: t.nodes.cordon, uncordon: t.nodes.uncordon }[action],
      run: () =>
        void runEach(
          nodes.map((node) => ({ name: node.nodeName ?? node.id, node })),
          ({ node }) => act(node, action),
          { doing: { cordon: t.nodes.cordoning, uncordon: t.nodes.uncordoning }[action], done },
        ),
      disabled: nodes.length === 0,
    }
  }
  function drain(names: string[]): MenuItem {
    const nodes = able(names, 'drain')
    const run = (): void => void (draining.value = nodes)
    return { label: t.nodes.drain, run, disabled: nodes.length === 0, danger: true, line: true }
  }

  return {
    draining,
    actions: (name) => [item(able([name], 'uncordon').length > 0 ? 'uncordon' : 'cordon', [name]), drain([name])],
    bulk: (names) => [item('cordon', names), item('uncordon', names), drain(names)],
  }
}
