/** Quotas of projects: what may be limited, and how much is given out. Pure. */

import { parseQuantity } from './quantity'

/** Amounts by the names of the management API. */
export type Amounts = Record<string, string>

export interface Quota {
  limit?: Amounts | null
  usedLimit?: Amounts | null
}

/** What can be limited, in the order in which people ask. */
export const LIMITED = [
  'requestsCpu',
  'requestsMemory',
  'limitsCpu',
  'limitsMemory',
  'pods',
  'requestsStorage',
  'persistentVolumeClaims',
  'services',
  'servicesLoadBalancers',
  'servicesNodePorts',
  'configMaps',
  'secrets',
  'replicationControllers',
] as const
export type Limited = (typeof LIMITED)[number]

export interface Use {
  name: Limited
  used: string
  limit: string
  /** Between 0 and 1; more when it is over. */
  share: number
}

/** What is limited and how much of it the namespaces hold. */
export function usesOf(quota: Quota | null | undefined): Use[] {
  return LIMITED.flatMap((name) => {
    const limit = quota?.limit?.[name]
    if (!limit) return []
    const used = quota.usedLimit?.[name] ?? '0'
    const [have, most] = [parseQuantity(used) ?? 0, parseQuantity(limit) ?? 0]
    return [{ name, used, limit, share: most > 0 ? have / most : have > 0 ? 1 : 0 }]
  })
}

/** The amounts that say something; `null` when none does, which takes a quota away. */
export function amountsOf(answers: Partial<Record<Limited, string>>): { limit: Amounts } | null {
  const said = LIMITED.flatMap((name): [string, string][] => {
    const amount = answers[name]?.trim() ?? ''
    return amount === '' ? [] : [[name, amount]]
  })
  return said.length > 0 ? { limit: Object.fromEntries(said) } : null
}
