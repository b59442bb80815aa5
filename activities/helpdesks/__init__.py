"""The helpdesks' own APIs: one small client a kind, which reads tickets whole and writes back what we have to say."""
