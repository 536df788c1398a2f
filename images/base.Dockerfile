# What the other images stand on where there is no registry to pull a base from; build.py makes base.tar.
FROM scratch
ADD base.tar /
CMD ["bash"]
