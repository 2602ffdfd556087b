global using Experiments.Tests.Support;
global using Shouldly;
global using Xunit;
