/** Kubernetes quantities: read, summed, shown. */

const SCALES: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** The number a quantity stands for; `undefined` for what is none. */
export function parseQuantity(text: unknown): number | undefined {
  if (typeof text === 'number') return Number.isFinite(text) ? text : undefined
  if (typeof text !== 'string') return undefined
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]i?|Ki)?)$/.exec(text.trim())
  if (!match) return undefined
  const [, digits = '', exponent, suffix = ''] = match
  const scale = exponent === undefined ? SCALES[suffix] : 10 ** Number(exponent)
  return scale === undefined ? undefined : Number(digits) * scale
}

/** Bytes with a binary unit: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = Math.abs(bytes)
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${bytes < 0 ? '-' : ''}${short(value)} ${units[unit] ?? ''}`
}

/** CPU cores: `250m` below one, else with at most two decimals. */
export function formatCores(cores: number): string {
  return cores !== 0 && Math.abs(cores) < 1 ? `${Math.round(cores * 1000)}m` : short(cores)
}

/** A share in whole percent, between 0 and 100. */
export function percent(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, Math.max(0, Math.round((part / whole) * 100))) : 0
}

function short(value: number): string {
  return String(value >= 100 ? Math.round(value) : Number(value.toFixed(value >= 10 ? 1 : 2)))
}
