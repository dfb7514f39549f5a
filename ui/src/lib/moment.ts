/** Points in time as people read them: local, largest unit first, so that they line up and order as text. */

export function moment(timestamp: string | Date | undefined): string {
  const time = new Date(timestamp ?? '')
  if (Number.isNaN(time.getTime())) return ''
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-')
  return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`
}
