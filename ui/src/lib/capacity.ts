/** What is requested of what there is: of clusters and of their nodes. Pure. */

import { formatBytes, formatCores, parseQuantity } from './quantity'

export type Amount = 'cpu' | 'memory' | 'pods'

/** Quantities by name, as the management API has them. */
type Amounts = Record<string, string> | null | undefined

export interface Capacity {
  allocatable?: Amounts
  capacity?: Amounts
  requested?: Amounts
}

export const FORMATS: Record<Amount, (value: number) => string> = {
  cpu: formatCores,
  memory: formatBytes,
  pods: (count) => String(Math.round(count)),
}

/** How much there is for pods; 0 when that is not known. */
export function wholeOf(of: Capacity | undefined, name: Amount): number {
  return parseQuantity(of?.allocatable?.[name]) || parseQuantity(of?.capacity?.[name]) || 0
}

export function requestedOf(of: Capacity | undefined, name: Amount): number {
  return parseQuantity(of?.requested?.[name]) ?? 0
}

/** `1.5 / 32`; empty when it is not known how much there is. */
export function shareText(of: Capacity | undefined, name: Amount): string {
  const whole = wholeOf(of, name)
  return whole === 0 ? '' : `${FORMATS[name](requestedOf(of, name))} / ${FORMATS[name](whole)}`
}

/** By what part it is taken; below everything when it is not known. */
export function shareOf(of: Capacity | undefined, name: Amount): number {
  const whole = wholeOf(of, name)
  return whole === 0 ? -1 : requestedOf(of, name) / whole
}
