"""Parameter-free maths on unbatched arrays; callers `vmap`."""
