"""How the processes of one `ccproxy serve` live together: started, watched, restarted, told to stop.

`board` is what they tell each other, `children` the processes, `supervisor` the parent. Refuses to know what they do.
"""
