/** How long ago something was, as kubectl says it. */

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `now` in milliseconds; an empty text for a time that is none. */
export function age(timestamp: string | undefined | null, now: number): string {
  if (!timestamp) return ''
  const then = Date.parse(timestamp)
  return Number.isNaN(then) ? '' : duration((now - then) / 1000)
}

/** Seconds as two units at most: `45s`, `3m20s`, `5h`, `12d`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds))
  if (s < 2 * MINUTE) return `${s}s`
  if (s < 10 * MINUTE) return two(s, MINUTE, 'm', 1, 's')
  if (s < 3 * HOUR) return `${Math.floor(s / MINUTE)}m`
  if (s < 8 * HOUR) return two(s, HOUR, 'h', MINUTE, 'm')
  if (s < 2 * DAY) return `${Math.floor(s / HOUR)}h`
  if (s < 8 * DAY) return two(s, DAY, 'd', HOUR, 'h')
  if (s < 2 * 365 * DAY) return `${Math.floor(s / DAY)}d`
  return two(s, 365 * DAY, 'y', DAY, 'd')
}

/** Seconds of a text that `duration` or kubectl wrote; `undefined` for what is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^(?:(\d+)y)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text)
  if (!match || text === '') return undefined
  const [y = 0, d = 0, h = 0, m = 0, s = 0] = match.slice(1).map((part) => Number(part ?? 0))
  return y * 365 * DAY + d * DAY + h * HOUR + m * MINUTE + s
}

function two(seconds: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((seconds % big) / small)
  return `${Math.floor(seconds / big)}${bigUnit}${rest > 0 ? `${rest}${smallUnit}` : ''}`
}
