// Owns the delay of panels below the fold: they ask the server only while they are near the screen.

import { useEffect, useRef, useState, type RefObject } from 'react';

/** Begin this far ahead, so that scrolling meets finished graphs. */
const MARGIN = '400px';

export function useInView<T extends Element>(): [RefObject<T | null>, boolean] {
  const box = useRef<T>(null);
  const [inView, setInView] = useState(false);
  useEffect(() => {
    if (!box.current) return;
    // A panel scrolled away stops refreshing and keeps its data.
    const observer = new IntersectionObserver((entries) => setInView(entries.at(-1)?.isIntersecting ?? false), { rootMargin: MARGIN });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return [box, inView];
}
