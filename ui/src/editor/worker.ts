/** Does the work on large texts beside the page. */

import { carryOut, type Order } from './work'

addEventListener('message', ({ data }: MessageEvent<Order>) => postMessage(carryOut(data)))
