/** How full clusters and nodes are, for meters. */

import type { Usage } from '@/data/kubernetes/metrics'
import { FORMATS, requestedOf, wholeOf, type Amount, type Capacity } from '@/lib/capacity'
import { t } from '@/texts'

export interface Meter {
  label: string
  used: number
  total: number
  format: (value: number) => string
}

/** What is requested, and where it is measured what is used. */
export function metersOf(of: Capacity | undefined, used: Usage | undefined): Meter[] {
  const meter = (label: string, name: Amount, value: number): Meter => ({
    label,
    used: value,
    total: wholeOf(of, name),
    format: FORMATS[name],
  })
  return [
    meter(t.overview.cpu, 'cpu', requestedOf(of, 'cpu')),
    meter(t.overview.memory, 'memory', requestedOf(of, 'memory')),
    ...(used ? [meter(t.overview.cpuUsed, 'cpu', used.cpu), meter(t.overview.memoryUsed, 'memory', used.memory)] : []),
    meter(t.overview.pods, 'pods', requestedOf(of, 'pods')),
  ].filter((one) => one.total > 0)
}
