/** A number of things: `1 pod`, `2 pods`. */
export function many(count: number, one: string, more: string): string {
  return `${count} ${count === 1 ? one : more}`
}
